"""``mamlbench info``: describe a registered name, with its options and presets."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.commands.published import numbers_table, published_numbers, remarks
from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, one_line, summarize_names
from mamlbench.plugin import Entry
from mamlbench.run_spec.search_space import search_space

if TYPE_CHECKING:
    from rich.console import Console

    from mamlbench.cli.session import Session
    from mamlbench.record import PublishedNumber
    from mamlbench.run_spec.options import Options

LIMITS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
"""Keywords of a JSON schema, and the signs that are displayed."""

FACTS = "title", "license", "citation", "homepage", "meta_gradient", "trains_on", "unit", "direction", "judges"
"""Properties shown above the options, if the kind of plugin has them."""

NAMES_SHOWN = 5
"""Class names shown per split without --classes."""


@click.command()
@click.argument("name", type=shared.Registered())
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="For a data set: one of its options, such as path=flowers. May be repeated.",
)
@click.option("--classes", "all_classes", is_flag=True, help="For a data set: name all classes, not the first few.")
@shared.data_dir
@shared.plugin_files
@shared.as_json
@shared.debug
@click.pass_context
def command(
    context: click.Context,
    *,
    name: str,
    options: tuple[str, ...],
    all_classes: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Describe an algorithm, data set, backbone, sampler, metric, launcher or tracker, with its options and presets.

    For a data set, also show the local copy: form, completeness, counts, class names and hashes. Nothing is decoded or
    downloaded.
    """
    session = session_of(context)
    plugins = session.plugins
    entries = plugins.registry.find_all(name)
    if options and not any(entry.kind == "dataset" for entry in entries):
        raise ConfigError(f"-o is for data sets, and '{name}' is not one.")
    dataset_options = shared.parse_options(options)
    descriptions = [describe(entry) for entry in entries]
    for entry, description in zip(entries, descriptions, strict=True):
        if entry.kind == "dataset" and not entry.placeholder:
            description["dataset_status"] = _dataset_status(session, name, dataset_options, data_dir)
    numbers = [number for number in published_numbers(plugins) if name in {number.algorithm, number.dataset}]
    if numbers:
        plain = [number.model_dump(mode="json") for number in numbers]
        descriptions = [{**description, "published": plain} for description in descriptions]
    if as_json:
        click.echo(json.dumps(descriptions, indent=1))
        return
    for description in descriptions:
        _show(description, all_classes=all_classes)
    _show_numbers(numbers)


def _dataset_status(session: Session, name: str, options: Mapping[str, str], data_dir: Path | None) -> dict[str, Any]:
    from mamlbench.runner.datasets.dataset_status import dataset_status
    from mamlbench.user_config import folders

    return asdict(dataset_status(name, options, session.plugins, folders(session.config, data_dir=data_dir)))


def describe(entry: Entry) -> dict[str, Any]:
    """Describe a registered class as plain data."""
    plugin = entry.load()
    description = {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "origin": entry.origin,
        "description": inspect.getdoc(plugin) or "",
        "options": _options(plugin.Options) if hasattr(plugin, "Options") else [],
    }
    if entry.kind == "metric":
        direction = "higher is better" if plugin.higher_is_better else "lower is better"
        description |= {"unit": plugin.unit, "direction": direction, "judges": plugin.kind}
    if entry.kind == "algorithm":
        order = {1: "first", 2: "second", None: "none"}[plugin.gradient_order]
        presets = [preset.model_dump(mode="json", exclude_defaults=True) for preset in plugin.presets]
        description |= {"meta_gradient": order, "trains_on": plugin.trains_on, "presets": presets}
    if entry.kind == "dataset":
        info = plugin.info
        description |= {
            "title": info.title,
            "license": info.license,
            "citation": info.citation,
            "homepage": info.homepage,
        }
    return description


def _options(options: type[Options]) -> list[dict[str, Any]]:
    """Return name, type, default and description of each option, and the values that tuning tries, if any."""
    schema, space = options.model_json_schema(), search_space(options)
    return [
        {
            "name": name,
            "type": _type(field),
            "default": field.get("default"),
            "description": field.get("description", ""),
            **({"tuning": str(space[name])} if name in space else {}),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(variant) for variant in field["anyOf"])
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    limits = [f"{sign} {field[key]:g}" for key, sign in LIMITS.items() if key in field]
    kind = {"null": "none", "array": "list"}.get(field.get("type", ""), field.get("type", "any"))
    return " ".join([kind, ", ".join(limits)]).strip()


def _show(description: dict[str, Any], *, all_classes: bool) -> None:
    from rich.markup import escape

    from mamlbench.cli.show import table
    from mamlbench.progress.console import console

    out = console()
    name, origin, summary = (escape(one_line(description[key])) for key in ("name", "origin", "summary"))
    out.print(f"[bold]{name}[/] ({description['kind']}, from {origin}): {summary}")
    out.print(f"\n{escape(description['description'])}\n", highlight=False)
    for key in FACTS:
        if description.get(key):
            out.print(f"[bold]{key.replace('_', '-')}[/]: {escape(str(description[key]))}", highlight=False)
    if "dataset_status" in description:
        _show_dataset_status(out, description["dataset_status"], all_classes=all_classes)
    prefix = "" if description["kind"] == "algorithm" else f"{description['kind']}."
    if description["options"]:
        tuned = any("tuning" in option for option in description["options"])
        rows = table("option", "default", "type", *(["tuning tries"] if tuned else []), "description")
        for option in description["options"]:
            space = [option.get("tuning", "")] if tuned else []
            first = (f"{prefix}{option['name']}", _value(option["default"]), option["type"])
            rows.add_row(*map(escape, (*first, *space, option["description"])))
        out.print(rows)
    if description.get("presets"):
        rows = table("preset", "for", "settings", "source")
        for preset in description["presets"]:
            scope = " ".join(str(preset[key]) for key in ("dataset", "ways", "shots") if key in preset)
            apart = {"name", "source", "dataset", "ways", "shots", "differences"}
            settings = {k: v for k, v in preset.items() if k not in apart}
            shown = ", ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())
            source = ". Differs: ".join((preset.get("source", ""), *preset.get("differences", ())))
            rows.add_row(preset["name"], scope or "any", escape(shown), escape(source))
        out.print(rows)


def _show_dataset_status(out: Console, status: dict[str, Any], *, all_classes: bool) -> None:
    """Show the local copy of a data set, and what to do if it is missing or not prepared."""
    from rich.markup import escape

    from mamlbench.cli.show import table

    copy = status["local_copy"]
    lines = [("state", f"{status['state']}: {status['detail']}" if status["detail"] else status["state"])]
    if status["state"] in {"not found", "broken"}:
        lines.append(("searched", ", ".join(status["searched"]) or "no folder, because none was named"))
    if copy:
        lines.append(("form", f"{copy['form']}, in '{copy['location']}'" if copy["location"] else copy["form"]))
        lines.append(("amount", copy["amount"] or "not known"))
        if copy["location"]:
            lines.append(("complete", f"no, a subset ({copy['subset']})" if copy["subset"] else "as far as known"))
    if len(status["input_shape"]) == 3:
        channels, height, width = status["input_shape"]
        lines.append(("images", f"{height} x {width}, {'gray' if channels == 1 else 'color'}"))
    if status["content_hash"]:
        lines.append(("content hash", status["content_hash"]))
    for key, value in lines:
        out.print(f"[bold]{key}[/]: {escape(str(value))}", highlight=False)
    if any(split["classes"] for split in status["splits"].values()):
        rows = table("split", "classes", "images", "hash", "class names")
        for name, split in status["splits"].items():
            names = summarize_names(split["classes"], len(split["classes"]) if all_classes else NAMES_SHOWN)
            counts = (f"{len(split['classes']):,}", f"{split['images']:,}")
            rows.add_row(name, *counts, split["hash"][:12], escape(names))
        out.print(rows)


def _show_numbers(numbers: list[PublishedNumber]) -> None:
    from mamlbench.progress.console import console

    if numbers:
        out = console()
        out.print("[bold]Published[/]: comparable only under the same conditions")
        out.print(numbers_table(numbers))
        for line in remarks(numbers):
            out.print(line, markup=False, highlight=False)


def _value(value: Any) -> str:
    """Format a value as it is written after ``-o NAME=``."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
