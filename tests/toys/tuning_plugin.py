"""For tuning: a data set that refuses to show its test classes, and methods that fail in some trials."""

from typing import Annotated

from pydantic import field_validator
from toy_plugin import Toy

import mamlbench
from mamlbench.api import ImageSplit, LogUniform, OneOf, TaskSampler
from mamlbench_plugins.algorithms.fomaml import FOMAML
from mamlbench_plugins.algorithms.maml import MAMLOptions


class Guarded(ImageSplit):
    """Test classes that end everything if somebody looks at them."""

    def episodes(self, keys, ways, shots, queries):
        raise AssertionError("test classes were drawn")

    def labeled_examples(self, key, count):
        raise AssertionError("test classes were drawn")

    def to(self, device):
        return self


class GuardedToy(Toy):
    """The toy data set with guarded test classes."""

    def load(self):
        splits = super().load()
        test = splits["test"]
        return {**splits, "test": Guarded(test.images, test.offsets, test.class_names)}


class Peeks(TaskSampler):
    """Trains on test classes."""

    def episodes(self, split, first, count, *, shots, queries, ways=None):
        split = "test" if split == "train" and first else split
        return super().episodes(split, first, count, shots=shots, queries=queries, ways=ways)


class MoodyOptions(MAMLOptions):
    """Options of a method that refuses and fails."""

    mood: Annotated[str, OneOf("fine", "raises", "explodes", "refused")] = "fine"

    @field_validator("mood")
    @classmethod
    def check(cls, value):
        """Refuse a value that the declaration allows."""
        if value == "refused":
            raise ValueError("not today")
        return value


class Moody(FOMAML):
    """Fails as its option says."""

    Options = MoodyOptions

    def apply(self, update):
        super().apply(update)
        if self.options.mood == "raises":
            raise ValueError("in a bad mood")
        if self.options.mood == "explodes":
            next(iter(self.meta.values())).fill_(float("nan"))


class Spaceless(FOMAML):
    """Declares nothing to tune."""

    class Options(MAMLOptions):
        """Takes back what MAML's options declare."""

        outer_lr: float = 1e-3
        inner_lr: float = 0.4
        test_steps: int = 1


class OneRate(FOMAML):
    """Declares one rate."""

    class Options(Spaceless.Options):
        """One range."""

        outer_lr: Annotated[float, LogUniform(1e-3, 0.1)] = 3e-3


@mamlbench.hookimpl
def mamlbench_register_datasets(register):
    register("guarded", GuardedToy)


@mamlbench.hookimpl
def mamlbench_register_samplers(register):
    register("peeks", Peeks)


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("moody", Moody)
    register("spaceless", Spaceless)
    register("one-rate", OneRate)
