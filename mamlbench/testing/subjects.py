"""Making the subject of checks from a registered plugin."""

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
"""A plugin under test, with the methods that its checks use."""

SUBJECTS: dict[str, type[Subject]] = {
    "algorithm": AlgorithmSubject,
    "backbone": BackboneSubject,
    "dataset": DatasetSubject,
    "metric": MetricSubject,
    "sampler": SamplerSubject,
}
"""The subject class of each kind of plugin."""


def subject_of(kind: str, plugin: type[Any], options: Mapping[str, Any], paths: DataPaths | None = None) -> Subject:
    """Make the subject for a plugin of this kind with these options; a data set is looked up at ``paths``."""
    if kind == "dataset":
        return DatasetSubject(plugin, paths, **options)
    return SUBJECTS[kind](plugin, **options)
