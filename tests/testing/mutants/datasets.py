"""Data sets that are wrong on purpose."""

import os
from typing import ClassVar

import numpy as np
import torch

from mamlbench.api import (
    Dataset,
    DatasetInfo,
    Examples,
    ImageSplit,
    Regression,
)

from .registry import caught_by


class Patterns(Dataset):
    """A sound one: random patterns."""

    info = DatasetInfo("patterns", "none needed", "nobody")
    sizes: ClassVar = {"train": 8, "val": 6, "test": 6}

    def load(self):
        return {split: self.make_split(split) for split in self.sizes}

    def make_split(self, split):
        return ImageSplit(self.images(split), self.offsets(split), self.names(split))

    def names(self, split):
        return tuple(f"{split} {number}" for number in range(self.sizes[split]))

    def offsets(self, split):
        return np.arange(self.sizes[split] + 1, dtype=np.int64) * 5

    def images(self, split):
        generator = torch.Generator().manual_seed(len(split) + ord(split[-1]))
        return (255 * torch.rand(self.sizes[split] * 5, 1, 6, 6, generator=generator)).to(torch.uint8)


@caught_by("can be loaded and drawn from", "dataset")
class FailsToLoad(Patterns):
    def load(self):
        raise ValueError("no patterns")


class Odd(ImageSplit):
    """A split whose episodes are changed by ``change(batch, keys)``."""

    change = None

    def episodes(self, keys, ways, shots, queries):
        batch = super().episodes(keys, ways, shots, queries)
        return type(self).change(batch, keys, queries)


def odd(function):
    """A split class with that change."""
    return type("OddSplit", (Odd,), {"change": staticmethod(function)})


class OddPatterns(Patterns):
    split_class = Odd

    def make_split(self, split):
        return self.split_class(self.images(split), self.offsets(split), self.names(split))


@caught_by("license and source are named", "dataset")
class NoLicense(Patterns):
    info = DatasetInfo("patterns", "", "nobody")


@caught_by("splits are complete", "dataset")
class NoValidation(Patterns):
    sizes: ClassVar = {"train": 8, "test": 6}


@caught_by("splits share no classes", "dataset")
class SharedClass(Patterns):
    def names(self, split):
        return ("everywhere", *super().names(split)[1:])


@caught_by("splits share no classes", "dataset")
class SharedImages(Patterns):
    def images(self, split):
        return super().images("train")[: self.sizes[split] * 5]


@caught_by("hash depends only on the content", "dataset")
class SplitsAtRandom(Patterns):
    def images(self, split):
        return (255 * torch.rand(self.sizes[split] * 5, 1, 6, 6)).to(torch.uint8)


@caught_by("hash depends only on the content", "dataset")
class TrustsListings(Patterns):
    def names(self, split):
        folder = self.paths.cache.parent / "listed"
        folder.mkdir(parents=True, exist_ok=True)
        for name in super().names(split):
            (folder / name).touch()
        return tuple(name for name in os.listdir(folder) if name.startswith(split))  # noqa: PTH208


@caught_by("episodes are well formed", "dataset")
class RawPixels(Patterns):
    def make_split(self, split):
        return ImageSplit(self.images(split), self.offsets(split), self.names(split), scale=1.0)


@caught_by("episodes are well formed", "dataset")
class LabelsOfTheSplit(OddPatterns):
    split_class = odd(lambda batch, keys, queries: batch._replace(query=Examples(batch.query.x, batch.query.y + 1)))


def _with_targets(split, targets):
    """An episode of one class whose labels are replaced by ``targets(x)``."""
    parts = {name: Examples(part.x, targets(part.x)) for name, part in (("support", split[0]), ("query", split[1]))}
    return split._replace(**parts)


class Valued(OddPatterns):
    """Two numbers of each image."""

    kind = "regression"
    split_class = odd(lambda batch, keys, queries: _with_targets(batch, lambda x: x.flatten(2)[..., :2]))

    def objective(self, ways):
        return Regression(2)


@caught_by("episodes are well formed", "dataset")
class FewerTargetsThanOutputs(Valued):
    split_class = odd(lambda batch, keys, queries: _with_targets(batch, lambda x: x.flatten(2)[..., :1]))


@caught_by("episodes are well formed", "dataset")
class LabelsThatHoldAlittle(Valued):
    """Targets of several labels that are neither 0 nor 1."""

    kind = "multi-label"


@caught_by("queries are not in the support set", "dataset")
class TestsOnTheSupport(OddPatterns):
    split_class = odd(lambda batch, keys, queries: batch._replace(query=batch.support) if queries == 1 else batch)


@caught_by("episodes depend only on their keys", "dataset")
class CentersTheEpisodes(OddPatterns):
    split_class = odd(
        lambda batch, keys, queries: batch._replace(
            support=Examples(batch.support.x - batch.support.x.mean(), batch.support.y)
        )
    )


@caught_by("more queries keep the support set", "dataset")
class QueriesFirst(OddPatterns):
    split_class = odd(lambda batch, keys, queries: batch._replace(support=_flipped(batch.support, queries)))


def _flipped(support, queries):
    return Examples(support.x.flip(-1) if queries > 1 else support.x, support.y)


class _Forgetful(ImageSplit):
    def labeled_examples(self, key, count):
        examples = super().labeled_examples(key, count)
        return Examples(examples.x, torch.randint(0, self.size, (count,)))


@caught_by("labeled examples are well formed", "dataset")
class RandomLabels(OddPatterns):
    split_class = _Forgetful


class _Shifted(ImageSplit):
    def labeled_examples(self, key, count):
        examples = super().labeled_examples(key, count)
        return Examples(examples.x, (examples.y + 1) % self.size)


@caught_by("labeled batches are the labeled examples", "dataset")
class ForgetsTheBatches(OddPatterns):
    split_class = _Shifted


class _Generous(ImageSplit):
    def episodes(self, keys, ways, shots, queries):
        return super().episodes(keys, min(ways, self.size), shots, queries)


@caught_by("too many ways raise config error", "dataset")
class GrantsTooMuch(OddPatterns):
    split_class = _Generous
