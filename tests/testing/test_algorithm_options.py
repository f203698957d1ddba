"""The check of options: which ones count as used."""

from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from mamlbench.api import IntRange, LogUniform, OneOf
from mamlbench.api import Options as EmptyOptions
from mamlbench.testing import AlgorithmSubject
from mamlbench.testing.algorithm_options import OPTIONS
from mamlbench_plugins.algorithms.fomaml import FOMAML
from mamlbench_plugins.algorithms.pretrain import Pretrain, PretrainOptions

CHECK, SEARCH_SPACE = OPTIONS


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


class SearchesTooFar(FOMAML):
    """Declares values that its options refuse."""

    class Options(FOMAML.Options):
        """Options."""

        inner_lr: Annotated[float, LogUniform(0.1, 2.0)] = Field(0.4, gt=0, lt=1, description="a rate")
        train_steps: Annotated[int, IntRange(0, 3)] = Field(1, ge=1, description="steps")
        test_steps: Annotated[int, OneOf(1, "two")] = Field(3, ge=0, description="steps")
        outer_lr: Annotated[float, LogUniform(0.1, 2.0)] = Field(0.1, gt=0, description="all of them are allowed")


def test_values_to_try_that_the_option_refuses_are_named():
    result = SEARCH_SPACE(AlgorithmSubject(SearchesTooFar))
    assert result.status == "failed"
    assert result.message == "the options refuse inner_lr=2.0, train_steps=0, test_steps=two"
    assert SEARCH_SPACE(AlgorithmSubject(FOMAML)).status == "passed"


def test_a_method_without_a_search_space_is_no_failure():
    class Plain(FOMAML):
        """Has no options."""

        class Options(EmptyOptions):
            """None."""

    result = SEARCH_SPACE(AlgorithmSubject(Plain))
    assert result.status == "skipped" and "mamlbench tune" in result.message
