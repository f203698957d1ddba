"""Fills the templates of plugins, and writes them to files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

from mamlbench import __version__
from mamlbench.errors import ConfigError
from mamlbench.scaffold.plugin_names import Names

KINDS: dict[str, str] = {
    "algorithm": "a method that learns an initialization",
    "backbone": "a small convolutional network",
    "dataset": "random patterns",
    "metric": "queries whose class is among the two likeliest",
    "sampler": "each training task several times over",
}
"""Kinds of plugins, and what the template of each does."""

_FLAGS = {
    "algorithm": "--algo",
    "backbone": "--algo maml --backbone",
    "dataset": "--algo maml --dataset",
    "metric": "--algo maml --metric",
    "sampler": "--algo maml --sampler",
}
_HOOK = '''

@hookimpl
def mamlbench_register_{kind}s(register: Register) -> None:
    """Register the class under its name."""
    register(
        "{name}",
        {cls},
        summary="{summary}",
    )
'''
_API_IMPORT = re.compile(r"^from mamlbench\.api import (.+)$", re.MULTILINE)


def single_file(kind: str, names: Names) -> dict[str, str]:
    """Text of the one file by its path."""
    hook = _HOOK.format(kind=kind, name=names.name, cls=names.cls, summary=KINDS[kind])
    text = _filled(f"{kind}.py", kind, names, how=f"{_run(kind, names)} --plugin {names.module}.py")
    return {f"{names.module}.py": _API_IMPORT.sub(_with_hook_names, text) + hook}


def _with_hook_names(line: re.Match[str]) -> str:
    """An import from mamlbench.api, extended by what the hook needs, in the order of isort."""
    names = sorted([*line[1].split(", "), "Register", "hookimpl"], key=lambda name: (name.upper() != name, name))
    return f"from mamlbench.api import {', '.join(names)}"


def whole_package(kind: str, names: Names) -> dict[str, str]:
    """Texts of all files of a distribution, by their paths in the folder that is named after the plugin."""
    body = _filled(f"{kind}.py", kind, names, how=_run(kind, names))
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{names.module}/__init__.py": "package.py",
        "tests/conftest.py": "conftest.py",
        f"tests/test_{names.module}.py": "test_plugin.py",
        ".github/workflows/test.yml": "workflow.yml",
    }
    texts = {path: _filled(template, kind, names) for path, template in templates.items()}
    texts |= {f"src/{names.module}/{kind}.py": body, f"src/{names.module}/py.typed": ""}
    return {f"{names.name}/{path}": text for path, text in sorted(texts.items())}


def write(texts: Mapping[str, str], folder: Path, *, force: bool) -> list[Path]:
    """Write all files or none; return their paths.

    Raises ConfigError where one is there already, unless ``force`` says to overwrite, or the folder takes no files.
    """
    paths = {folder / path: text for path, text in texts.items()}
    present = [path for path in paths if path.exists()]
    if present and not force:
        listed = ", ".join(f"'{path}'" for path in present)
        raise ConfigError(f"{listed} exists already: choose another name or --output, or overwrite with --force.")
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"'{folder}' takes no files ({error}): choose another with --output.") from error
    return list(paths)


def _run(kind: str, names: Names) -> str:
    return f"mamlbench run {_FLAGS[kind]} {names.name}"


def _filled(template: str, kind: str, names: Names, **more: str) -> str:
    text = files("mamlbench.scaffold").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
    values = {
        "name": names.name,
        "module": names.module,
        "cls": names.cls,
        "kind": kind,
        "summary": KINDS[kind],
        "run": _run(kind, names),
        "version": __version__,
        "subject": f"{kind.capitalize()}Subject",
        "names": ", ".join(["CHECKS", *sorted(["Check", f"{kind.capitalize()}Subject"])]),
    }
    return Template(text).substitute(values | more)
