"""Built-in task samplers: which tasks are met in training."""

from mamlbench.api import Register, hookimpl


@hookimpl
def mamlbench_register_samplers(register: Register) -> None:
    """Register the built-in samplers."""
    here = "mamlbench_plugins.samplers"
    register("fresh", f"{here}.fresh:Fresh", summary="a new task each time (default)")
    register("fixed-pool", f"{here}.fixed_pool:FixedPool", summary="a fixed number of training tasks, used repeatedly")
