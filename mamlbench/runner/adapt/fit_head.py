"""The head of a trained model for another number of classes: every class begins at the mean of the trained ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor

from mamlbench.errors import ConfigError
from mamlbench.run_spec import RunSpec
from mamlbench.runner.model_state import foreign_tensors, refuse_foreign_state

Head = Literal["trained", "tied", "of the method"]


class FittedState(NamedTuple):
    """A model's state for a number of classes, and how its head begins."""

    state: dict[str, Any]
    head: Head


def fit_head(
    state: Mapping[str, Any], expected: Mapping[str, Any], classes: tuple[int, int], spec: RunSpec, model: Path
) -> FittedState:
    """Fit a trained state to a number of classes.

    A head has one row for each class, ``[ways, ...]``. The classes of an episode come in any order, so that its trained
    rows stand for no class in particular: their mean is a beginning for any number of classes, as in UNICORN-MAML (Ye &
    Chao, 2021). Steps on the support set, whose gradients differ from row to row, then make the classes differ.

    Args:
        state: tensors by name, as they were trained.
        expected: the state of the method for the present number of classes, before training.
        classes: number of classes in training, and present one.
        spec: of the adaptation.
        model: file of the model, for messages.

    Raises ConfigError if the state is of another method or network, or the method's head cannot be made for another
    number of classes.
    """
    ways, present = classes
    wrong = foreign_tensors(state, expected)
    if not wrong:
        has_head = any(_is_head(name) for name in expected)
        return FittedState(dict(state), "trained" if has_head and ways == present else "of the method")
    tied = {name: _tied(value, present) for name, value in state.items() if _is_for_classes(name, value, ways)}
    fitted = {**state, **tied}
    if ways == present or not tied or foreign_tensors(fitted, expected):
        if ways != present:
            raise ConfigError(
                f"This model distinguishes {ways} classes, and the folder has {present}: with {spec.algorithm.name} "
                f"the number of classes is fixed in training. Use {ways} class folders, or train a model with "
                f"'mamlbench run --algo {spec.algorithm.name} --ways {present}' (or --algo pretrain: any number)."
            )
        refuse_foreign_state(state, expected, model)
    return FittedState(fitted, "tied")


def _is_head(name: str) -> bool:
    return "head" in name.replace("/", ".").split(".")


def _is_for_classes(name: str, value: Any, ways: int) -> bool:
    return _is_head(name) and isinstance(value, Tensor) and value.ndim > 0 and len(value) == ways


def _tied(value: Tensor, classes: int) -> Tensor:
    """The mean of the rows of ``[ways, ...]``, once for each class: ``[classes, ...]``."""
    return value.mean(0, keepdim=True).expand(classes, *value.shape[1:]).clone()
