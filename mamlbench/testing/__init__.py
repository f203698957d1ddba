"""The contract kit: what every plugin is held to, on a task so tiny that it takes seconds.

``mamlbench check NAME`` prints it as a table. In a plugin's own tests::

    import pytest
    from mamlbench.testing import CHECKS, AlgorithmSubject
    from mine import Mine

    @pytest.mark.parametrize("check", CHECKS["algorithm"], ids=str)
    def test_contract(check):
        check.require(AlgorithmSubject(Mine))

``pytest_plugins = ["mamlbench.testing.pytest"]`` adds the fixture ``project``, which runs the command line.
"""

from mamlbench.testing.algorithm_contract import CONTRACT
from mamlbench.testing.algorithm_episodes import EPISODES
from mamlbench.testing.algorithm_learning import LEARNING
from mamlbench.testing.algorithm_properties import PROPERTIES
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.backbones import BACKBONE, BackboneSubject
from mamlbench.testing.common import COMMON, DOCUMENTED, PRESETS
from mamlbench.testing.datasets import DATASET, DatasetSubject
from mamlbench.testing.metrics import METRIC, MetricSubject
from mamlbench.testing.run_checks import BrokenPromiseError, Check, NotApplicable, Outcome, demand, run_checks
from mamlbench.testing.samplers import SAMPLER, SamplerSubject
from mamlbench.testing.subjects import SUBJECTS, Subject, subject_of
from mamlbench.testing.tiny import TinyNetwork, tiny_splits

CHECKS: dict[str, tuple[Check, ...]] = {
    "algorithm": (*COMMON, PRESETS, *CONTRACT, *PROPERTIES, *EPISODES, *LEARNING),
    "backbone": (*COMMON, *BACKBONE),
    "dataset": (*COMMON, *DATASET),
    "metric": (DOCUMENTED, *METRIC),
    "sampler": (*COMMON, *SAMPLER),
}
"""The checks of each kind of plugin."""

__all__ = [
    "CHECKS",
    "SUBJECTS",
    "AlgorithmSubject",
    "BackboneSubject",
    "BrokenPromiseError",
    "Check",
    "DatasetSubject",
    "MetricSubject",
    "NotApplicable",
    "Outcome",
    "SamplerSubject",
    "Subject",
    "TinyNetwork",
    "demand",
    "run_checks",
    "subject_of",
    "tiny_splits",
]
