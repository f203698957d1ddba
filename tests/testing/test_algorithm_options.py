"""The check of options: which ones count as used."""

from typing import ClassVar

import pytest
from pydantic import Field

from mamlbench.testing import AlgorithmSubject
from mamlbench.testing.algorithm_options import OPTIONS
from mamlbench_plugins.algorithms.fomaml import FOMAML
from mamlbench_plugins.algorithms.pretrain import Pretrain, PretrainOptions

(CHECK,) = OPTIONS


class WithUnusedOptions(FOMAML):
    """Three options that change no number."""

    class Options(FOMAML.Options):
        """Options."""

        workers: int = Field(2, ge=1, description="processes that load images")
        remat: bool = Field(False, description="recompute to save memory")
        note: str = Field("", description="a remark")


class Declared(WithUnusedOptions):
    """The same, declared."""

    neutral_options: ClassVar = {"workers": "time", "remat": "memory"}


class DeclaresAnotherName(FOMAML):
    """Declares an option that it does not have."""

    neutral_options: ClassVar = {"worker": "time"}


class WithoutMomentum(Pretrain):
    """Its dampening does something only together with another momentum than the default."""

    class Options(PretrainOptions):
        """Options."""

        momentum: float = Field(0.0, ge=0, lt=1, description="momentum of fine-tuning")
        test_steps: int = Field(3, ge=0, description="fine-tuning steps in validation and test")


def test_unused_options_are_named():
    result = CHECK(AlgorithmSubject(WithUnusedOptions))
    assert result.status == "failed"
    assert result.message.endswith("workers, remat"), "the values of a text cannot be guessed"


@pytest.mark.parametrize("plugin", [Declared, WithoutMomentum])
def test_declared_options_and_those_that_act_together_pass(plugin):
    assert CHECK(AlgorithmSubject(plugin)).status == "passed"


def test_a_declared_name_must_be_an_option():
    result = CHECK(AlgorithmSubject(DeclaresAnotherName))
    assert result.status == "failed" and "worker" in result.message
