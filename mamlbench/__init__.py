"""mamlbench: a benchmarking harness for few-shot meta-learning.

>>> import mamlbench
>>> record = mamlbench.run("maml", "omniglot")          # doctest: +SKIP
>>> mamlbench.load_records("results")                   # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from mamlbench.plugin.markers import hookimpl

if TYPE_CHECKING:
    from mamlbench.report import load_records
    from mamlbench.runner.calls import adapt, evaluate, run
    from mamlbench.runner.perform import perform

__version__ = "0.1.0"
__all__ = ["__version__", "adapt", "evaluate", "hookimpl", "load_records", "perform", "run"]

# Torch is imported with these only: `import mamlbench` and the command line answer at once.
_LAZY = {
    "run": "mamlbench.runner",
    "evaluate": "mamlbench.runner",
    "adapt": "mamlbench.runner",
    "perform": "mamlbench.runner",
    "load_records": "mamlbench.report",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'mamlbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Name what is imported when it is used too, for completion and ``help``."""
    return sorted({*globals(), *__all__})
