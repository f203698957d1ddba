"""Omniglot with a mistake in its data, for traps.toml: the harness refuses the first two unless leaks are allowed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mamlbench
from mamlbench.api import TaskSplit
from mamlbench_plugins.datasets.omniglot import Omniglot


class SelectedOnTest(Omniglot):
    """Validation, and so the choice of the checkpoint, is on the test classes."""

    def load(self) -> Mapping[str, TaskSplit]:
        splits = super().load()
        return {**splits, "val": splits["test"]}


class TrainedOnTest(Omniglot):
    """Training is on the test classes."""

    def load(self) -> Mapping[str, TaskSplit]:
        splits = super().load()
        return {**splits, "train": splits["test"]}


class RawPixels(Omniglot):
    """Pixels from 0 to 255."""

    def load(self) -> Mapping[str, TaskSplit]:
        splits: Mapping[str, Any] = super().load()
        return {name: replace(split, scale=1.0) for name, split in splits.items()}


@mamlbench.hookimpl
def mamlbench_register_datasets(register: Any) -> None:
    """Three data sets."""
    register("omniglot-selected-on-test", SelectedOnTest)
    register("omniglot-trained-on-test", TrainedOnTest)
    register("omniglot-raw-pixels", RawPixels)
