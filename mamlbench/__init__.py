"""mamlbench: a benchmarking harness for few-shot meta-learning.

>>> import mamlbench
>>> record = mamlbench.run("maml", "omniglot")          # doctest: +SKIP
>>> mamlbench.load_records("results")                   # doctest: +SKIP
>>> mamlbench.report("results").figure("curves")        # doctest: +SKIP

Methods, data sets, networks, samplers, launchers and trackers are plugins; ``mamlbench_plugins`` has those that ship.
Here is what runs and compares them: ``api`` (contracts), ``nn``, ``data`` and ``engine`` (what methods compute with),
``runner`` (a run), ``run_spec`` and ``record`` (what it is, what it leaves), ``report`` (tables to verdicts),
``plugin`` (hooks), ``testing`` (contract checks), ``suite``, ``bench``, ``scaffold``, ``cli``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mamlbench.plugin.markers import hookimpl
    from mamlbench.report.dataframe import load_records
    from mamlbench.report.notebook import report
    from mamlbench.runner.execute import perform
    from mamlbench.runner.python_api import adapt, evaluate, run

__version__ = "0.1.0"
__all__ = ["__version__", "adapt", "evaluate", "hookimpl", "load_records", "perform", "report", "run"]

# Imported when first used: most import torch, which takes seconds; and the program handles signals first of all.
_LAZY = {
    "hookimpl": "mamlbench.plugin.markers",
    "run": "mamlbench.runner.python_api",
    "evaluate": "mamlbench.runner.python_api",
    "adapt": "mamlbench.runner.python_api",
    "perform": "mamlbench.runner.execute",
    "load_records": "mamlbench.report",
    "record_html": "mamlbench.report.notebook",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "report":  # the package, which can be called
        return importlib.import_module("mamlbench.report")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'mamlbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Include the names that are imported when first used, for completion and ``help``."""
    return sorted({*globals(), *__all__})
