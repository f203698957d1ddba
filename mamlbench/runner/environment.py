"""The environment that a run in this process, or in a worker of it, has."""

from __future__ import annotations

import torch

from mamlbench.engine import keep_memory
from mamlbench.nn.kernels import kernels_in_use
from mamlbench.plugin import Plugins
from mamlbench.plugin.source_hash import plugin_code, versions_that_count
from mamlbench.record import Environment, current_environment
from mamlbench.run_spec import Precision, RunSpec
from mamlbench.runner.device import device_name


def run_environment(
    device: str, plugins: Plugins, precision: Precision = "float32", spec: RunSpec | None = None
) -> Environment:
    """Describe machine, software, code and plugins of a run on ``device``, as torch names it.

    Of the plugins only those that ``spec`` uses count; all of them without it.
    """
    # the compiled kernels are for float32 and float64
    kernels = "torch (bf16)" if precision == "bf16" else kernels_in_use()
    return current_environment(
        threads=torch.get_num_threads(),
        device_name=device_name(torch.device(device)),
        plugins=versions_that_count(plugins, spec),
        plugin_code=plugin_code(plugins, spec),
        allocator=keep_memory(),
        kernels=kernels,
    )
