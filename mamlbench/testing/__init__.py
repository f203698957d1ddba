"""The contract kit: checks that every plugin must pass, on a tiny task that takes seconds.

``mamlbench check NAME`` prints the results as a table. In a plugin's own tests::

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
from mamlbench.testing.algorithm_leaks import LEAKS
from mamlbench.testing.algorithm_learning import LEARNING
from mamlbench.testing.algorithm_options import OPTIONS
from mamlbench.testing.algorithm_properties import PROPERTIES
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.backbones import BACKBONE, BackboneSubject
from mamlbench.testing.checks import Check, CheckResult, ContractError, NotApplicable, ensure, run_checks
from mamlbench.testing.common import COMMON, DOCSTRING, PRESETS
from mamlbench.testing.datasets import DATASET, DatasetSubject
from mamlbench.testing.metrics import METRIC, MetricSubject
from mamlbench.testing.samplers import SAMPLER, SamplerSubject
from mamlbench.testing.subjects import SUBJECTS, Subject, subject_of
from mamlbench.testing.tiny import TinyNetwork, tiny_splits

CHECKS: dict[str, tuple[Check, ...]] = {
    "algorithm": (*COMMON, PRESETS, *CONTRACT, *PROPERTIES, *EPISODES, *LEAKS, *OPTIONS, *LEARNING),
    "backbone": (*COMMON, *BACKBONE),
    "dataset": (*COMMON, *DATASET),
    "metric": (DOCSTRING, *METRIC),
    "sampler": (*COMMON, *SAMPLER),
}
"""The checks of each kind of plugin."""

__all__ = [
    "CHECKS",
    "SUBJECTS",
    "AlgorithmSubject",
    "BackboneSubject",
    "Check",
    "CheckResult",
    "ContractError",
    "DatasetSubject",
    "MetricSubject",
    "NotApplicable",
    "SamplerSubject",
    "Subject",
    "TinyNetwork",
    "ensure",
    "run_checks",
    "subject_of",
    "tiny_splits",
]
