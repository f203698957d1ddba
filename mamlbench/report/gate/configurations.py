"""Matching the configurations of BASE and HEAD: which of their records are compared with each other."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mamlbench.record import RunRecord, in_order
from mamlbench.report.table import row_settings
from mamlbench.report.table.groups import (
    RowRuns,
    ScoreConditions,
    conditions_of,
    is_complete,
    settings_of,
    training_key,
)

MAY_DIFFER = ("mamlbench",)
"""Packages that may differ between two sides whose times are compared: their effect is what the gate measures."""


class ConfigurationName(NamedTuple):
    """The name of a configuration. Other settings are not part of it: if they differ, the gate shows the change."""

    dataset: str
    ways: int
    shots: int
    algorithm: str
    preset: str

    def __str__(self) -> str:
        ways = f"{self.ways}-way " if self.ways > 1 else ""
        return f"{self.algorithm}, {self.dataset} {ways}{self.shots}-shot, {self.preset}"


@dataclass
class Configuration:
    """The runs of one configuration on one side: made by the same code, they differ only in the training seed."""

    name: ConfigurationName
    row: RowRuns
    ignored: int = 0
    """Number of older runs by different code or on different data."""

    @property
    def conditions(self) -> ScoreConditions:
        """The conditions of its scores."""
        return conditions_of(row_settings.representative_run(self.row))

    @property
    def machine(self) -> dict[str, str]:
        """Everything that must be equal for times and memory to be comparable."""
        machine = row_settings.machine(self.row)
        return {name: value for name, value in machine.items() if name not in MAY_DIFFER}


@dataclass
class ConfigurationPair:
    """One configuration of BASE and of HEAD; either may be missing."""

    short_name: ConfigurationName
    base: Configuration | None
    head: Configuration | None
    label: str = ""
    """Settings that distinguish it from other pairs of the same short name."""
    changed: list[str] = field(default_factory=list)
    """Settings that differ between the sides: ``inner_lr: 0.4 → 0.1``."""

    @property
    def name(self) -> str:
        """Short name and label."""
        return f"{self.short_name}{f' ({self.label})' if self.label else ''}"

    @property
    def identifier(self) -> str:
        """Eight hexadecimal digits of all settings but the seed, of HEAD if it has runs.

        It stays the same whatever other configurations, seeds or code there are.
        """
        side = self.head or self.base
        assert side is not None
        key = training_key(row_settings.representative_run(side.row).spec)
        return hashlib.sha256(key.encode()).hexdigest()[:8]


def pair_configurations(base: Iterable[RunRecord], head: Iterable[RunRecord]) -> list[ConfigurationPair]:
    """Match the configurations of two sides.

    Equal specs are paired first. If one configuration of a name is then left on each side, these two are paired: a
    setting was changed. If several are left, it is unknown which belong together, so none are paired.
    """
    base_by_name, head_by_name = _configurations(base), _configurations(head)
    pairs = []
    for name in dict.fromkeys([*base_by_name, *head_by_name]):
        left, right = base_by_name.get(name, {}), head_by_name.get(name, {})
        matched = [ConfigurationPair(name, left[spec], right[spec]) for spec in left if spec in right]
        only_base = [configuration for spec, configuration in left.items() if spec not in right]
        only_head = [configuration for spec, configuration in right.items() if spec not in left]
        if len(only_base) == len(only_head) == 1:
            changed = _changes(only_base[0], only_head[0])
            matched.append(ConfigurationPair(name, only_base[0], only_head[0], changed=changed))
        else:
            matched += [ConfigurationPair(name, configuration, None) for configuration in only_base]
            matched += [ConfigurationPair(name, None, configuration) for configuration in only_head]
        _label_pairs(matched)
        pairs += matched
    return pairs


def _configurations(records: Iterable[RunRecord]) -> dict[ConfigurationName, dict[str, Configuration]]:
    """Group records by configuration name and by spec (without the seed)."""
    runs: dict[ConfigurationName, dict[str, list[RunRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in in_order(records):
        runs[_name(record)][training_key(record.spec)].append(record)
    return {
        name: {spec: _newest(name, spec_runs) for spec, spec_runs in by_spec.items()} for name, by_spec in runs.items()
    }


def _name(record: RunRecord) -> ConfigurationName:
    protocol = record.test.protocol if record.test is not None else record.spec.protocol
    spec = record.spec
    return ConfigurationName(spec.dataset.name, protocol.ways, protocol.shots, spec.algorithm.name, spec.preset)


def _newest(name: ConfigurationName, runs: Sequence[RunRecord]) -> Configuration:
    """Select the runs with the code and data of the last one: older code or data says nothing about this side."""
    selected = [run for run in runs if _code(run) == _code(runs[-1])]
    tested = [conditions_of(run) for run in selected if is_complete(run)]
    selected = [run for run in selected if not is_complete(run) or conditions_of(run) == tested[-1]]
    return Configuration(name, RowRuns(selected), ignored=len(runs) - len(selected))


def _code(run: RunRecord) -> Any:
    environment = run.environment
    return environment.code_hash, environment.plugins, environment.packages.get("mamlbench")


def _changes(base: Configuration, head: Configuration) -> list[str]:
    before, after = _settings(base), _settings(head)
    return [
        f"{name}: {before.get(name, '–')} → {after.get(name, '–')}"
        for name in dict.fromkeys([*before, *after])
        if name not in before or name not in after or before[name] != after[name]
    ]


def _label_pairs(pairs: Sequence[ConfigurationPair]) -> None:
    """Label pairs of the same name with the settings in which they differ."""
    pair_settings = [_settings(pair.head or pair.base) for pair in pairs]
    names = dict.fromkeys(name for settings in pair_settings for name in settings)
    differing = [name for name in names if len({repr(settings.get(name)) for settings in pair_settings}) > 1]
    for pair, settings in zip(pairs, pair_settings, strict=True):
        pair.label = ", ".join(f"{name}={settings[name]}" for name in differing if name in settings)


def _settings(configuration: Configuration | None) -> dict[str, Any]:
    """Return settings and protocol, without code and machine."""
    if configuration is None:
        return {}
    run = row_settings.representative_run(configuration.row)
    return settings_of(run, include_environment=False) | run.spec.protocol.model_dump(
        exclude={"metrics", "keep_predictions"}
    )
