"""Chooses the metrics of a run: names are checked when it is planned, classes imported when it is built."""

from __future__ import annotations

from collections.abc import Iterable

from mamlbench.api import Metric
from mamlbench.errors import ConfigError, ConfigProblem, did_you_mean
from mamlbench.plugin import Plugins
from mamlbench.run_spec.metric_names import find_metric


def metric_names(requested: Iterable[str], kind: str, plugins: Plugins) -> tuple[str, ...]:
    """Return the registered names of the metrics that a user names, without duplicates.

    Args:
        requested: names as the user writes them.
        kind: 'classification', 'regression', 'multi-label' or 'reinforcement', what the tasks are.
        plugins: the loaded plugins.

    Raises ConfigError that names every metric that is not known, or is not of that kind.
    """
    known = plugins.registry.names("metric")
    names, problems = [], []
    for text in requested:
        name = find_metric(text, known)
        if name is None:
            problems.append(ConfigProblem(f"Unknown metric '{text}'.{did_you_mean(text, known)}", "metrics"))
            continue
        metric: type[Metric] = plugins.registry.load("metric", name)
        if metric.kind != kind:
            problems.append(ConfigProblem(f"'{name}' is a metric of {metric.kind}, not of {kind}.", "metrics"))
        names.append(name)
    if problems:
        raise ConfigError(*problems)
    return tuple(dict.fromkeys(names))


def make_metrics(names: Iterable[str], kind: str, plugins: Plugins) -> tuple[Metric, ...]:
    """The metrics of these names, in their order. Raises ConfigError as ``metric_names`` does."""
    return tuple(plugins.registry.load("metric", name)() for name in metric_names(names, kind, plugins))
