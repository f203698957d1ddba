"""Which columns a table shows, of all that there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.report.table.columns import Column
from mamlbench.report.table.groups import Group
from mamlbench.report.table.run_columns import FEATURES, machine_columns, run_columns, text_columns
from mamlbench.report.table.score_columns import score_columns
from mamlbench.report.table.seen_test_data import seen_columns
from mamlbench.run_spec import TEST_MODES
from mamlbench.run_spec.metric_names import column_name

NO_COLUMNS: Mapping[str, Column] = {}
DEFAULT = (
    "preset",
    "score",
    "seen",
    "untrained",
    "gain",
    "device_seconds",
    FEATURES,
    "milliseconds",
    "memory",
    "seeds",
)
"""Columns shown by default. 'score' stands for one column per mode."""

PAPER = ("gain", "device_seconds", "seeds")
"""Columns beside the first score that a table in a paper has."""
COLUMN_SETS = ("score", "default", "paper", "all")
"""Names that stand for several columns."""
PER_MODE = ("untrained", "gain", "effect", "detectable")
"""Columns that belong to the first mode; for another mode its name is appended, as in 'gain_inductive'."""
NEED_TESTS = frozenset(
    [
        "before",
        "seen",
        FEATURES,
        *TEST_MODES,
        *PER_MODE,
        *(f"{name}_{mode}" for name in PER_MODE for mode in TEST_MODES),
    ]
)
"""Columns that a group lacks if none of its runs was tested, or none in that mode."""


def columns_of(group: Group) -> list[Column]:
    """Return every built-in column of this group in display order."""
    machine = machine_columns(group.rows)
    return [*text_columns(), *score_columns(group), *seen_columns(group), *machine, *run_columns()]


def metric_columns(metrics: Iterable[str]) -> set[str]:
    """Return every name that a column of one of these metrics can have."""
    scores = {
        "_".join([column_name(metric), *mode]) for metric in metrics for mode in [(), *((m,) for m in TEST_MODES)]
    }
    return scores | {f"{detail}_{name}" for detail in ("before", *PER_MODE) for name in scores}


def built_in_names() -> set[str]:
    """Return every reserved name: no plugin's column can have it."""
    columns = [*text_columns(), *machine_columns([]), *run_columns()]
    return {*(column.name for column in columns), *NEED_TESTS, *COLUMN_SETS}


def choose_columns(
    group: Group,
    names: tuple[str, ...],
    plugin_columns: Mapping[str, Column] = NO_COLUMNS,
    metrics: Iterable[str] = (),
) -> list[Column]:
    """Return the columns called ``names`` ('all' for every column, 'default' for the default ones, 'paper' for few).

    Args:
        group: the rows of the table.
        names: columns that it may lack, if no run was tested so, are left out.
        plugin_columns: columns from plugins, by name.
        metrics: metrics that other tables may have.

    Raises ConfigError for a name that is neither built in nor in ``plugin_columns``.
    """
    columns = columns_of(group)
    if "all" in names:
        return [*columns, *plugin_columns.values()]
    built_in = {name: column for column in columns for name in (column.alias, column.name) if name}
    valid = {*built_in, *NEED_TESTS, *metric_columns({*group.metrics, *metrics}), *plugin_columns}
    requested = [column for name in names for column in _expand(name if name in valid else column_name(name), group)]
    unknown = [name for name in requested if name not in valid]
    if unknown:
        raise ConfigError(*(f"There is no column '{name}'.{did_you_mean(name, valid)}" for name in unknown))
    chosen = [built_in.get(name) or plugin_columns[name] for name in requested if name in {*built_in, *plugin_columns}]
    return list({column.name: column for column in chosen}.values())


def _expand(name: str, group: Group) -> Iterable[str]:
    if name == "default":
        return [column for part in DEFAULT for column in _expand(part, group)]
    if name == "paper":
        return [*(group.modes[:1] or ["score"]), *PAPER]
    return (group.modes or ["score"]) if name == "score" else [name]
