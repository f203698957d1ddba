"""``mamlbench info``: one registered name, with its options and presets."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import options as shared
from mamlbench.cli.commands.published import known_numbers, numbers_table, remarks
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.plugin import Entry

if TYPE_CHECKING:
    from mamlbench.spec import Published

LIMITS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
"""Keywords of a JSON schema, and how a reader knows them."""


@click.command()
@click.argument("name", type=shared.Registered())
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(context: click.Context, *, name: str, as_json: bool) -> None:
    """Show an algorithm, data set, backbone, sampler or tracker: what it is, its options with defaults, its presets."""
    plugins = session_of(context).plugins
    registry = plugins.registry
    entries = [entry for entry in registry.entries() if entry.name == name]
    if not entries:
        raise ConfigError(f"Nothing is called '{name}'.{did_you_mean(name, (e.name for e in registry.entries()))}")
    described = [describe(entry) for entry in entries]
    numbers = [number for number in known_numbers(plugins) if name in {number.algorithm, number.dataset}]
    if numbers:
        plain = [number.model_dump(mode="json") for number in numbers]
        described = [{**each, "published": plain} for each in described]
    if as_json:
        click.echo(json.dumps(described, indent=1))
        return
    for each in described:
        _show(each)
    _show_numbers(numbers)


def describe(entry: Entry) -> dict[str, Any]:
    """Everything that the class says of itself, as plain data."""
    plugin = entry.load()
    found = {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "origin": entry.origin,
        "description": inspect.getdoc(plugin) or "",
        "options": _options(plugin.Options.model_json_schema()),
    }
    if entry.kind == "algorithm":
        order = {1: "first", 2: "second", None: "none"}[plugin.gradient_order]
        presets = [preset.model_dump(mode="json", exclude_defaults=True) for preset in plugin.presets]
        found |= {"meta_gradient": order, "feeds_on": plugin.feeds_on, "presets": presets}
    if entry.kind == "dataset":
        info = plugin.info
        found |= {"title": info.title, "licence": info.licence, "citation": info.citation, "homepage": info.homepage}
    return found


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Name, type, default and description of each option, from the JSON schema that validates it."""
    return [
        {
            "name": name,
            "type": _type(field),
            "default": field.get("default"),
            "description": field.get("description", ""),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    limits = [f"{sign} {field[key]:g}" for key, sign in LIMITS.items() if key in field]
    kind = {"null": "none", "array": "list"}.get(field.get("type", ""), field.get("type", "any"))
    return " ".join([kind, ", ".join(limits)]).strip()


def _show(found: dict[str, Any]) -> None:
    from rich.markup import escape

    from mamlbench.cli.show import console, table

    out = console()
    out.print(f"[bold]{found['name']}[/] ({found['kind']}, from {found['origin']}): {escape(found['summary'])}")
    out.print(f"\n{escape(found['description'])}\n", highlight=False)
    for key in ("title", "licence", "citation", "homepage", "meta_gradient", "feeds_on"):
        if found.get(key):
            out.print(f"[bold]{key.replace('_', '-')}[/]: {escape(str(found[key]))}", highlight=False)
    prefix = "" if found["kind"] == "algorithm" else f"{found['kind']}."
    if found["options"]:
        rows = table("option", "default", "type", "what it does")
        for option in found["options"]:
            cells = (f"{prefix}{option['name']}", _value(option["default"]), option["type"], option["description"])
            rows.add_row(*map(escape, cells))
        out.print(rows)
    if found.get("presets"):
        rows = table("preset", "for", "settings", "source")
        for preset in found["presets"]:
            where = " ".join(str(preset[key]) for key in ("dataset", "ways", "shots") if key in preset)
            settings = {k: v for k, v in preset.items() if k not in {"name", "source", "dataset", "ways", "shots"}}
            shown = ", ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())
            rows.add_row(preset["name"], where or "any", escape(shown), escape(preset.get("source", "")))
        out.print(rows)


def _show_numbers(numbers: list[Published]) -> None:
    from mamlbench.cli.show import console

    if numbers:
        out = console()
        out.print("[bold]Published[/]: to be compared under the same conditions only")
        out.print(numbers_table(numbers))
        for line in remarks(numbers):
            out.print(line, markup=False, highlight=False)


def _value(value: Any) -> str:
    """As it would be written behind ``-o NAME=``."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
