"""The page on reproductions names every field, option, system and verdict there is."""

import re
import tomllib
from pathlib import Path
from typing import get_args

from mamlbench.cli.commands.reproduce import command
from mamlbench.plugin import load_plugins
from mamlbench.plugin.reproductions import find_reproduction, read_reproductions
from mamlbench.record.published_number import Tier
from mamlbench.record.reproduction import Reading, Reproduction, ReproductionGroup
from mamlbench.report.reproduction.verdict import VerdictKind

PAGE = (Path(__file__).parents[2] / "docs" / "reproduce.md").read_text(encoding="utf-8")
PLUGINS = load_plugins()
ENTRIES, _ = read_reproductions(PLUGINS.registry.published)


def test_every_field_is_explained():
    assert {name for model in (Reproduction, Reading) for name in model.model_fields} <= set(
        re.findall(r"`(\w+)`", PAGE)
    )


def test_the_example_is_what_is_read():
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (group,) = tomllib.loads(example)["reproduction"]
    entries = [Reproduction.model_validate(entry) for entry in ReproductionGroup.model_validate(group).entries()]
    assert [entry.margin for entry in entries] == [1.0, 0.5] and entries[0].readings == ["per-shot", "mean"]


def test_every_option_of_its_own_is_shown():
    shared = {"--data-dir", "--plugin", "--json", "--quiet", "--debug", "--verbose", "--log-file", "--option"}
    own = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert not [option for option in sorted(own - shared) if option not in PAGE]


def test_verdicts_and_tiers_are_named():
    words = PAGE.lower()
    assert not [word for word in (*get_args(VerdictKind), *get_args(Tier)) if word not in words]


def test_names_and_systems_on_the_page_exist():
    systems = {entry.reproduction.system for entry in ENTRIES}
    sources = {entry.reproduction.name.partition("/")[0] for entry in ENTRIES}
    for name in re.findall(r"mamlbench reproduce ([\w./+-]+/[\w./+-]+)", PAGE):
        if name not in systems | sources:
            find_reproduction(name, ENTRIES)
    assert set(re.findall(r"mamlbench suite ([\w-]+)", PAGE)) <= set(PLUGINS.registry.names("suite"))
    rows = re.findall(r"^\| (\S+/\S+|learn2learn) \|", PAGE, re.M)
    assert len(rows) == 6 and set(rows) <= systems
    assert {entry.reproduction.system for entry in ENTRIES if entry.reproduction.mistake} <= set(rows)
