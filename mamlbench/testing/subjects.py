"""Which subject a registered plugin becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamlbench.api import DataPaths
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.backbones import BackboneSubject
from mamlbench.testing.datasets import DatasetSubject
from mamlbench.testing.metrics import MetricSubject
from mamlbench.testing.samplers import SamplerSubject

Subject = AlgorithmSubject | BackboneSubject | DatasetSubject | MetricSubject | SamplerSubject
"""A plugin under test, with what its checks need."""

SUBJECTS: dict[str, type[Subject]] = {
    "algorithm": AlgorithmSubject,
    "backbone": BackboneSubject,
    "dataset": DatasetSubject,
    "metric": MetricSubject,
    "sampler": SamplerSubject,
}
"""What is handed to the checks of each kind of plugin."""


def subject_of(kind: str, plugin: type[Any], given: Mapping[str, Any], paths: DataPaths | None = None) -> Subject:
    """A plugin of that kind with these options, ready to be checked; a data set is looked for at ``paths``."""
    if kind == "dataset":
        return DatasetSubject(plugin, paths, **given)
    return SUBJECTS[kind](plugin, **given)
