"""Built-in launchers: where runs are computed, in processes of this machine or on a cluster."""

from mamlbench.api import Register, hookimpl


@hookimpl
def mamlbench_register_launchers(register: Register) -> None:
    """Register the built-in launchers."""
    here = "mamlbench_plugins.launchers"
    register(
        "dask", f"{here}.dask_cluster:Dask", summary="tasks of a Dask cluster, here or at an address (extra 'dask')"
    )
    register("processes", f"{here}.processes:Processes", summary="one process per run, on this machine (default)")
    register("ray", f"{here}.ray_cluster:Ray", summary="tasks of a Ray cluster, here or at an address (extra 'ray')")
    register("slurm", f"{here}.slurm:Slurm", summary="jobs of a Slurm queue, through submitit (extra 'slurm')")
