"""One sentence with what to install, for a command whose packages mamlbench-reader leaves out."""

from __future__ import annotations

from importlib import metadata

import click

from mamlbench.errors import one_line

READER = "mamlbench-reader"
"""The distribution of mamlbench for reading and comparing: without torch, figures and pandas."""
_RUNNING = ("torch", "torchvision", "safetensors", "pooch")
_FIGURES = ("matplotlib", "PIL")


def explain_missing_package(error: BaseException) -> str | None:
    """Return what to install if an import failed for a package that the reader leaves out; None for other errors."""
    missing = _missing_module(error)
    if missing in _RUNNING:
        return f"This command needs {missing}, which is not installed. {_install_runner()}"
    if missing in _FIGURES:
        return f"Figures need {missing}, which is not installed: pip install matplotlib pillow"
    if missing == "pandas":
        return "This needs pandas, which is not installed: pip install pandas"
    return None


def warn_without_figures() -> None:
    """Say on stderr that a page has no figures, if they cannot be drawn here."""
    from mamlbench.report.figures.export import can_draw

    if not can_draw():
        click.echo("Figures and sample episodes are left out: pip install matplotlib pillow", err=True)


def _missing_module(error: BaseException | None) -> str:
    """The package whose absence led to an error, through those that it was converted to; empty if there is none."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            return one_line(error.name or "").partition(".")[0]
        error = error.__cause__
    return ""


def _install_runner() -> str:
    try:
        metadata.distribution(READER)
    except metadata.PackageNotFoundError:
        return f"Install it: pip install {' '.join(_RUNNING)}"
    return (
        f"{READER} only reads and compares; install mamlbench in its place: pip uninstall --yes {READER}, then, in a "
        "clone of its repository, pip install ."
    )
