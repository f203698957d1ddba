"""Fills the templates of plugins, and writes them to files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

from mamlbench import __version__
from mamlbench.errors import ConfigError
from mamlbench.scaffold.plugin_names import PluginNames

KINDS: dict[str, str] = {
    "algorithm": "a method that learns an initialization",
    "backbone": "a small convolutional network",
    "dataset": "generated random patterns",
    "metric": "accuracy of the two most likely classes",
    "sampler": "each training task several times in a row",
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


def single_file(kind: str, names: PluginNames) -> dict[str, str]:
    """Return the text of a single-file plugin by its path."""
    hook = _HOOK.format(kind=kind, name=names.name, cls=names.cls, summary=KINDS[kind])
    text = _fill(f"{kind}.py", kind, names, how=f"{_run(kind, names)} --plugin {names.module}.py")
    return {f"{names.module}.py": _API_IMPORT.sub(_with_hook_names, text) + hook}


def _with_hook_names(line: re.Match[str]) -> str:
    """Add the names that the hook needs to an import from mamlbench.api, in the order of isort."""
    names = sorted([*line[1].split(", "), "Register", "hookimpl"], key=lambda name: (name.upper() != name, name))
    return f"from mamlbench.api import {', '.join(names)}"


def package_files(kind: str, names: PluginNames) -> dict[str, str]:
    """Return the texts of all files of a distribution by path, in a folder named after the plugin."""
    body = _fill(f"{kind}.py", kind, names, how=_run(kind, names))
    templates = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{names.module}/__init__.py": "package.py",
        "tests/conftest.py": "conftest.py",
        f"tests/test_{names.module}.py": "test_plugin.py",
        ".github/workflows/test.yml": "workflow.yml",
    }
    texts = {path: _fill(template, kind, names) for path, template in templates.items()}
    texts |= {f"src/{names.module}/{kind}.py": body, f"src/{names.module}/py.typed": ""}
    return {f"{names.name}/{path}": text for path, text in sorted(texts.items())}


def write_files(texts: Mapping[str, str], folder: Path, *, force: bool) -> list[Path]:
    """Write all files and return their paths.

    Raises ConfigError, before writing, if a file exists and ``force`` is False; and if the folder cannot be written.
    """
    paths = {folder / path: text for path, text in texts.items()}
    existing = [path for path in paths if path.exists()]
    if existing and not force:
        listed = ", ".join(f"'{path}'" for path in existing)
        raise ConfigError(f"{listed} already exists. Choose another name or --output, or overwrite with --force.")
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"'{folder}' cannot be written ({error}). Choose another folder with --output.") from error
    return list(paths)


def _run(kind: str, names: PluginNames) -> str:
    return f"mamlbench run {_FLAGS[kind]} {names.name}"


def _fill(template: str, kind: str, names: PluginNames, **extra: str) -> str:
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
    return Template(text).substitute(values | extra)
