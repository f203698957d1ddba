"""JSON schemas (draft 2020-12) of suites, run specs and records, with the names and options of installed plugins."""

from __future__ import annotations

import re
from typing import Any

from mamlbench.engine import PATTERN, STRATEGIES
from mamlbench.errors import ConfigError
from mamlbench.plugin import Registry
from mamlbench.record import PublishedNumber, RunRecord
from mamlbench.record.reproduction import Reproduction
from mamlbench.run_spec import RunSpec
from mamlbench.suite import SuiteFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_COMPONENTS = ("algorithm", "dataset", "backbone", "sampler")
"""Kinds of plugins that a run is made of."""
_ENGINE: Schema = {"anyOf": [{"enum": ["auto", *STRATEGIES]}, {"type": "string", "pattern": f"^({PATTERN})$"}]}


def record_schema() -> Schema:
    """Schema of a record as it is written."""
    return {"$schema": DIALECT, **RunRecord.model_json_schema(mode="serialization")}


def published_schema() -> Schema:
    """Schema of a file of published numbers and their reproductions; a field may stand in a table or in its list."""
    definitions: Schema = {}
    tables: Schema = {}
    for table, entries, model in (("group", "results", PublishedNumber), ("reproduction", "reproduces", Reproduction)):
        entry = _without_null(model.model_json_schema())
        definitions |= entry.pop("$defs", {})
        entry.pop("required")  # what an entry lacks, its table has
        shared = {**entry["properties"], entries: {"type": "array", "items": entry}}
        own = {"type": "object", "properties": shared, "required": [entries], "additionalProperties": False}
        tables[table] = {"type": "array", "items": own}
    return {
        "$schema": DIALECT,
        "$defs": definitions,
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
    }


def run_schema(registry: Registry, problems: list[str]) -> Schema:
    """Schema of a run spec: each component with the options of the plugin that its name stands for."""
    schema = RunSpec.model_json_schema()
    definitions = schema["$defs"]
    schema["properties"]["engine"] |= _ENGINE
    definitions["Protocol"]["properties"]["metrics"]["items"] = {"enum": registry.names("metric")}
    for kind in _COMPONENTS:
        choices = []
        for name, options in _options(kind, registry, problems).items():
            definitions |= options.pop("$defs", {})
            properties = {"name": _name(name, kind, registry), "options": options}
            choices.append(
                {"type": "object", "properties": properties, "required": ["name"], "additionalProperties": False}
            )
        schema["properties"][kind] = {"oneOf": choices}
    definitions.pop("Component", None)
    return {"$schema": DIALECT, **schema}


def suite_schema(registry: Registry, problems: list[str]) -> Schema:
    """Schema of a suite file: every option of every plugin, with one value or with a list of them."""
    schema = _without_null(SuiteFile.model_json_schema())
    definitions: Schema = schema.setdefault("$defs", {})
    options: Schema = {}
    for kind in _COMPONENTS:
        of_kind = _merged(_options(kind, registry, problems), definitions)
        nested = {"type": "object", "properties": of_kind, "additionalProperties": False}
        options[kind] = nested | {"description": f"options of the {kind}"}
        if kind == "algorithm":
            options |= of_kind
        options |= {f"{kind}.{name}": option for name, option in of_kind.items()}
    definitions["Options"] = {"type": "object", "properties": options, "additionalProperties": False}
    choices: Schema = {kind: _any_name(kind, registry) for kind in _COMPONENTS} | {"engine": _ENGINE}
    for table in (schema, *(definitions[name] for name in ("CellConditions", "SuiteSettings", "Override"))):
        properties = table["properties"]
        properties["options"] = {"$ref": "#/$defs/Options", "description": properties["options"]["description"]}
        for kind, choice in choices.items():
            properties[kind] |= _one_or_many(choice)
        if "metrics" in properties:
            properties["metrics"]["items"] = {"enum": registry.names("metric")}
    return {"$schema": DIALECT, **schema}


def _name(name: str, kind: str, registry: Registry) -> Schema:
    """What a name of a listing stands for: itself, or all names of a family."""
    prefix = next((entry.prefix for entry in registry.entries(kind) if entry.name == name), "")
    return {"type": "string", "pattern": f"^{re.escape(prefix)}."} if prefix else {"const": name}


def _any_name(kind: str, registry: Registry) -> Schema:
    names: Schema = {"enum": registry.names(kind)}
    families = [_name(entry.name, kind, registry) for entry in registry.entries(kind) if entry.placeholder]
    return {"anyOf": [names, *families]} if families else names


def _options(kind: str, registry: Registry, problems: list[str]) -> dict[str, Schema]:
    """The schema of each plugin's options by the plugin's name; one that cannot be imported becomes a problem."""
    schemas = {}
    for entry in registry.entries(kind):
        try:
            schemas[entry.name] = entry.load().Options.model_json_schema()
        except ConfigError as error:
            problems.append(str(error))
    return schemas


def _merged(plugins: dict[str, Schema], definitions: Schema) -> Schema:
    """One schema per option name, whichever plugins of a kind have it; its description names them."""
    owners: dict[str, dict[str, Schema]] = {}
    for plugin, schema in plugins.items():
        definitions |= schema.get("$defs", {})
        for name, option in schema.get("properties", {}).items():
            owners.setdefault(name, {})[plugin] = option
    return {name: _option(by_plugin) for name, by_plugin in owners.items()}


def _option(by_plugin: dict[str, Schema]) -> Schema:
    types: list[Schema] = []
    for option in by_plugin.values():
        bare = {key: value for key, value in option.items() if key not in ("default", "description", "title")}
        if bare not in types:
            types.append(bare)
    texts = dict.fromkeys(option.get("description", "") for option in by_plugin.values())
    description = f"{', '.join(by_plugin)}: {' / '.join(text for text in texts if text)}"
    return {"description": description, **_one_or_many(types[0] if len(types) == 1 else {"anyOf": types})}


def _one_or_many(schema: Schema) -> Schema:
    if _has_null(schema):
        schema = {"anyOf": [schema, {"const": "none"}]}  # TOML has no null; as on the command line it is a word
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}


def _has_null(schema: Any) -> bool:
    if isinstance(schema, dict):
        return schema.get("type") == "null" or any(_has_null(part) for part in schema.get("anyOf", ()))
    return False


def _without_null(schema: Any) -> Any:
    """TOML has no null: what is not set is left out."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema if part != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    return {key: _without_null(part) for key, part in schema.items() if not (key == "default" and part is None)}
