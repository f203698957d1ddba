"""Write docs/api.json: everything that is public, one line each (see docs/compatibility.md).

    python docs/make_api.py

If the public API has changed since a release, it is written only if CHANGELOG.md names the change in its section on
what is not released. Before the first release everything is new, and no change needs an entry. A test compares the file
with the code.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ForwardRef

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mamlbench.cli.commands.info import describe
from mamlbench.cli.main import COMMANDS, cli
from mamlbench.errors import ExitCode
from mamlbench.plugin import PROJECT, load_plugins
from mamlbench.plugin import hookspecs as hooks
from mamlbench.testing import CHECKS

ROOT = Path(__file__).parents[1]
SNAPSHOT = ROOT / "docs" / "api.json"
CHANGELOG = ROOT / "CHANGELOG.md"
MODULES = ("mamlbench", "mamlbench.api", "mamlbench.testing")
"""Public through ``__all__``."""
SOME = {
    "mamlbench.errors": (
        "ExitCode",
        "MamlbenchError",
        "ConfigError",
        "MissingDependencyError",
        "DataError",
        "MissingDataError",
        "CacheError",
        "DamagedImagesError",
        "RunFailedError",
        "DivergedError",
        "NothingToDoError",
    ),
    "mamlbench.plugin": ("Entry", "PluginReport"),
    "mamlbench.user_config": ("UserConfig",),
    "mamlbench.record": (
        "RunRecord",
        "Evaluation",
        "Adaptation",
        "Interval",
        "MetricResult",
        "ModeResult",
        "EpisodeFile",
        "read_episodes",
        "Measurement",
        "Segment",
        "CurvePoint",
        "DataFacts",
        "Environment",
        "LabeledImage",
        "HeldOut",
        "PublishedNumber",
    ),
    "mamlbench.run_spec": ("RunRequest", "RunSpec", "Protocol", "Training", "Component", "Folders"),
    "mamlbench.testing.pytest": ("Project", "CommandResult", "project"),
}
"""Of these modules some names are public: what public functions take, return or raise."""
SPECIAL = {"__call__", "__add__"}
"""Methods that are public though they begin with an underscore."""


def public_api() -> dict[str, str]:
    """Everything that is public: a name, and in words what it is, the same on every machine."""
    api: dict[str, str] = {}
    for module in MODULES:
        api |= dict(_module(module, tuple(importlib.import_module(module).__all__)))
    for module, names in SOME.items():
        api |= dict(_module(module, names))
    api |= {f"hook {name}": _signature(hook) for name, hook in vars(hooks).items() if name.startswith(f"{PROJECT}_")}
    context = click.Context(cli, info_name="mamlbench")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        api |= dict(_command(f"mamlbench {name}", command))
    api |= dict(_shipped())
    api |= {f"exit code {code.value}": code.name for code in ExitCode}
    api |= {f"check of {kind}: {check.name}": check.requirement for kind, checks in CHECKS.items() for check in checks}
    return api


def _module(module: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    imported = importlib.import_module(module)
    for name in names:
        path, value = f"{module}.{name}", getattr(imported, name)
        if name == "CHECKS":  # listed by their names
            continue
        if inspect.isclass(value) and not name.startswith("Keys") and value.__module__.startswith("mamlbench"):
            yield from _class(path, value)
        elif inspect.ismodule(value):  # a package that can be called
            yield path, _signature(type(value).__call__).replace("(self, ", "(")
        elif inspect.isroutine(value) and getattr(value, "__module__", "").startswith("mamlbench"):
            yield path, _signature(value)
        else:
            yield path, _assigned(imported, name)


def _class(path: str, cls: type) -> Iterator[tuple[str, str]]:
    bases = ", ".join(base.__name__ for base in cls.__bases__ if base is not object)
    fields = cls.model_fields if issubclass(cls, BaseModel) else {}
    arguments = "" if issubclass(cls, BaseModel | ExitCode) else _signature(cls)
    yield path, f"class({bases}){arguments}"
    if issubclass(cls, ExitCode):
        return
    for owner in reversed(cls.__mro__):
        if not owner.__module__.startswith("mamlbench") or (owner is not cls and _public(owner)):
            continue
        for name, annotation in inspect.get_annotations(owner).items():
            if not name.startswith("_"):
                yield (
                    f"{path}.{name}",
                    _annotated(annotation, fields.get(name), vars(owner).get(name, inspect.Parameter.empty)),
                )
        for name, value in vars(owner).items():
            if (not name.startswith("_") or name in SPECIAL) and (member := _member(value)):
                yield f"{path}.{name}", member


def _public(cls: type) -> bool:
    """Whether a class is listed by itself."""
    return any(cls is getattr(importlib.import_module(module), cls.__name__, None) for module in MODULES)


def _annotated(annotation: Any, field: FieldInfo | None, value: Any) -> str:
    if field is not None:
        value = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
    plain = value is None or isinstance(value, str | int | float | tuple)
    shown = f" = {value!r}" if plain and value is not inspect.Parameter.empty else ""
    return _words(annotation) + shown


def _member(value: Any) -> str:
    if isinstance(value, classmethod | staticmethod):
        return f"{type(value).__name__}{_signature(value.__func__)}"
    function = value.fget if isinstance(value, property) else getattr(value, "func", None)  # cached_property has func
    if function is not None:
        return f"property: {_words(inspect.signature(function).return_annotation)}"
    return _signature(value) if inspect.isfunction(value) else ""


def _signature(function: Any) -> str:
    if inspect.isclass(function) and issubclass(function, BaseException):
        own = function.__init__
        return _signature(own) if inspect.isfunction(own) else ""
    if inspect.isclass(function) and issubclass(function, dict):  # built in C: it has no signature
        return ""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=_Words(_words(parameter.annotation)))
        for parameter in signature.parameters.values()
    ]
    returned = _Words(_words(signature.return_annotation))
    text = str(signature.replace(parameters=parameters, return_annotation=returned))
    return re.sub(r" at 0x[0-9a-f]+", "", text).replace(": unannotated", "").replace(" -> unannotated", "")


class _Words(str):
    """An annotation that is shown without quotes, whatever the version of Python."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _words(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return "unannotated"
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _assigned(module: ModuleType, name: str) -> str:
    """The expression that a constant or an alias is made by: its own words are the same on every machine."""
    for node in _statements(ast.parse(inspect.getsource(module)).body):
        if isinstance(node, ast.ImportFrom) and node.module and any(alias.name == name for alias in node.names):
            return _assigned(importlib.import_module(node.module), name)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets) and node.value is not None:
            return "a string" if name == "__version__" else ast.unparse(node.value)
    raise LookupError(f"{module.__name__}.{name} is not assigned at the top of a module")


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements at the top of a module; those under ``if TYPE_CHECKING`` name what is imported lazily."""
    for node in body:
        yield from node.body if isinstance(node, ast.If) else [node]


def _command(path: str, command: click.Command) -> Iterator[tuple[str, str]]:
    yield path, "command"
    for parameter in command.params:
        name = f"{path} {'/'.join(sorted((*parameter.opts, *parameter.secondary_opts)))}"
        yield name.replace("-o/--option", "-o"), _parameter(parameter)
    for name, sub in getattr(command, "commands", {}).items():
        yield from _command(f"{path} {name}", sub)


def _parameter(parameter: click.Parameter) -> str:
    words = [parameter.param_type_name, parameter.type.name]
    if isinstance(parameter.type, click.Choice):
        words.append("|".join(map(str, parameter.type.choices)))
    if isinstance(parameter.type, click.IntRange):
        words.append(f"{parameter.type.min} to {parameter.type.max}")
    words += [word for word, holds in (("required", parameter.required), ("repeatable", parameter.multiple)) if holds]
    if parameter.nargs != 1:
        words.append(f"nargs {parameter.nargs}")
    flag = getattr(parameter, "is_flag", False)
    has_default = isinstance(parameter.default, str | int | float) and not (flag and parameter.default is False)
    return " ".join(words) + (f" = {parameter.default!r}" if has_default else "")


def _shipped() -> Iterator[tuple[str, str]]:
    """Names and options of this distribution; what else happens to be installed here is left out."""
    for entry in load_plugins().registry.entries():
        if entry.origin != "mamlbench":
            continue
        yield f"{entry.kind} {entry.name}", "registered"
        if entry.kind not in {*CHECKS, "launcher"}:  # needs a package that may not be here, or has no options
            continue
        for option in describe(entry)["options"]:
            yield f"{entry.kind} {entry.name}: {option['name']}", f"{option['type']} = {json.dumps(option['default'])}"


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """One line for each thing that came, went or is another."""
    other = (name for name in new if old.get(name, new[name]) != new[name])
    return [
        *(f"new: {name} {new[name]}" for name in new if name not in old),
        *(f"gone: {name} {old[name]}" for name in old if name not in new),
        *(f"changed: {name}\n    from {old[name]}\n    to   {new[name]}" for name in other),
    ]


def unnamed(old: dict[str, str], new: dict[str, str], entries: str) -> list[str]:
    """What has changed without being named, between backticks, in the changelog."""
    words = set(re.findall(r"[\w+-]+", " ".join(re.findall(r"`([^`]+)`", entries))))
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [name for name in changed if not words & names_of(name)]


def names_of(line: str) -> set[str]:
    """By which words a reader would know it: a method by its class, an option by its own name or its command's."""
    if line.startswith("mamlbench "):
        return {part for word in line.split()[1:] for part in word.split("/")}
    if line.startswith("exit code "):
        return {"ExitCode"}
    if line.startswith("check of "):
        return {"check", "CHECKS"}
    kind, _, rest = line.partition(" ")
    if rest:  # hook NAME; algorithm NAME: OPTION
        return set(rest.replace(":", "").split())
    inner = [part for part in kind.split(".") if f"mamlbench.{part}" not in {*MODULES, *SOME}]
    return {next(part for part in inner if part not in {"mamlbench", "pytest"})}


def unreleased() -> str:
    """The changelog's section on what is not released: ``## Unreleased`` or ``## 0.1.0 (unreleased)``."""
    sections = re.split(r"^## ", CHANGELOG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return next((section for section in sections if "unreleased" in section.partition("\n")[0].lower()), "")


def has_release() -> bool:
    """Whether the changelog has a section on a version that is released."""
    versions = re.findall(r"^## \[?\d.*$", CHANGELOG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return any("unreleased" not in version.lower() for version in versions)


def fingerprint(text: str) -> str:
    """A hash of some text, whatever its line breaks."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def refusals(known: dict[str, Any], api: dict[str, str], entries: str) -> list[str]:
    """Why a changed API cannot be written yet: the changelog's ``entries`` do not say what has changed."""
    changes = differences(known["api"], api)
    if changes and known["changelog"] == fingerprint(entries):
        return ["CHANGELOG.md has no new entry under Unreleased, and the public API has changed:", *changes]
    silent = unnamed(known["api"], api, entries)
    return ["CHANGELOG.md does not name, between backticks, under Unreleased:", *silent] if silent else []


def snapshot(api: dict[str, str], entries: str) -> dict[str, Any]:
    """What docs/api.json holds: the API, and the entries that it was written down with."""
    return {"changelog": fingerprint(entries), "api": dict(sorted(api.items()))}


def main() -> None:
    """Write the snapshot, or say why not and exit with 1."""
    api, entries = public_api(), unreleased()
    known = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    problems = refusals(known, api, entries) if has_release() else []
    if problems:
        print("\n".join(problems), file=sys.stderr)
        sys.exit(1)
    SNAPSHOT.write_text(json.dumps(snapshot(api, entries), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
