"""Plugins that are wrong on purpose, each in one way: the kit must catch every one by the check meant for it.

``MUTANTS`` holds (kind, class, name of the check).
"""

import itertools
import os
import random
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.func import grad

from mamlbench.api import (
    Backbone,
    BatchNorm,
    ClassPool,
    Examples,
    Preset,
    SourceInfo,
    TaskSampler,
    TaskSource,
    mix,
    prefixed,
    seed_key,
)
from mamlbench_plugins.algorithms.fomaml import FOMAML
from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.algorithms.reptile import Reptile

MUTANTS = []


def caught_by(check, kind="algorithm"):
    """Register a mutant with the check that must catch it."""

    def add(mutant):
        mutant.__doc__ = mutant.__doc__ or "A mutant."
        MUTANTS.append((kind, mutant, check))
        return mutant

    return add


# Algorithms


@caught_by("shapes and types")
class PredictsLabels(FOMAML):
    def predict(self, state, support_x, x, mode):
        return super().predict(state, support_x, x, mode).argmax(-1)


@caught_by("shapes and types")
class InsistsOnFloat32(FOMAML):
    def initial_meta(self):
        return {**super().initial_meta(), "bonus": torch.zeros(3)}

    def loss(self, state, query):
        return super().loss({k: v for k, v in state.items() if k != "bonus"}, query) + 0 * state["bonus"].sum()

    def parameters(self, state):
        return {k: v for k, v in state.items() if k != "bonus"}


@caught_by("shapes and types")
class CountsExamples(FOMAML):
    def direction(self, batch):
        return super().direction(batch)._replace(count=batch.examples)


@caught_by("same seed same numbers")
class RandomInsideTasks(FOMAML):
    def direction(self, batch):
        direction = super().direction(batch)
        return direction._replace(sums={n: v + 1e-3 * torch.randn_like(v) for n, v in direction.sums.items()})


@caught_by("same seed same numbers")
class RandomFromPython(FOMAML):
    def __init__(self, bench, options):
        super().__init__(bench, options)
        next(iter(self.meta.values())).mul_(1 + 0.1 * random.random())


@caught_by("direction changes nothing")
class AppliesAtOnce(FOMAML):
    def direction(self, batch):
        direction = super().direction(batch)
        next(iter(self.meta.values())).mul_(0.999)
        return direction


@caught_by("direction changes nothing")
class CountsCalls(FOMAML):
    calls = 0

    def direction(self, batch):
        self.calls += 1
        direction = super().direction(batch)
        return direction._replace(sums={n: v / self.calls for n, v in direction.sums.items()})


@caught_by("adapt leaves the shared parameters alone")
class AdaptsTheShared(FOMAML):
    def adaptation(self, support, keys):
        for learner in super().adaptation(support, keys):
            if learner.states is not None:
                for name, value in self.meta.items():
                    value.lerp_(learner.states[name].mean(0), 0.1)
            yield learner


@caught_by("adapt leaves the shared parameters alone")
class RemembersEpisodes(FOMAML):
    memory = 0.0

    def adaptation(self, support, keys):
        self.memory = self.memory + support.x.mean()
        yield from super().adaptation(support, keys)

    def predict(self, state, support_x, x, mode):
        return super().predict(state, support_x, x, mode) + self.memory


@caught_by("inductive queries do not mix")
class AlwaysTransductive(FOMAML):
    def predict(self, state, support_x, x, mode):
        return super().predict(state, support_x, x, "transductive")


@caught_by("inductive queries do not mix")
class IgnoresTheQuery(FOMAML):
    def predict(self, state, support_x, x, mode):
        outputs = super().predict(state, support_x, x, mode)
        return 0 * outputs + torch.linspace(0, 1, outputs.shape[-1], dtype=outputs.dtype)


@caught_by("tasks do not mix")
class MixesTasks(FOMAML):
    def prepared(self, support):
        return Examples(support.x - support.x.mean(0, keepdim=True), support.y)


@caught_by("state round trips")
class ForgetsTheOptimiser(FOMAML):
    def state(self):
        return prefixed("meta", self.meta)

    def load_state(self, state):
        super().load_state({**state, "outer/done": torch.tensor(0)})


@caught_by("state round trips")
class LoadsHalf(FOMAML):
    def load_state(self, state):
        first = next(iter(self.meta))
        super().load_state({**state, f"meta/{first}": self.meta[first].clone()})


@caught_by("state round trips")
class KeepsNumbersInState(FOMAML):
    def state(self):
        return {**super().state(), "rate": 0.5}


@caught_by("declarations")
class ThirdOrder(FOMAML):
    gradient_order = 3


@caught_by("order of the gradient is true")
class SaysSecondIsFirst(MAML):
    def step(self, state, support):
        slope = grad(lambda state: self.loss(state, support))(state)
        return {name: state[name] - self.options.inner_lr * slope[name].detach() for name in state}


@caught_by("order of the gradient is true")
class SaysFirstIsSecond(FOMAML):
    def direction(self, batch):
        twin = MAML(self.bench, self.options)
        twin.meta = self.meta
        return twin.direction(batch)


@caught_by("order of the gradient is true")
class LosesAFactor(MAML):
    def direction(self, batch):
        direction = super().direction(batch)
        return direction._replace(sums={name: 0.5 * value for name, value in direction.sums.items()})


@caught_by("every engine agrees")
class BranchesOnValues(FOMAML):
    def loss(self, state, query):
        loss = super().loss(state, query)
        return loss if float(loss.detach()) > -1 else -loss


@caught_by("every engine agrees")
class HangsOnTheEngine(FOMAML):
    def step(self, state, support):
        moved = super().step(state, support)
        return moved if self.engine.name != "loop" else state


@caught_by("halves add up")
class AveragesTasks(FOMAML):
    def direction(self, batch):
        direction = super().direction(batch)
        return direction._replace(sums={name: value / batch.tasks for name, value in direction.sums.items()})


@caught_by("halves add up")
class HidesItsOrder(Reptile):
    """Tasks one after the other, undeclared."""

    class Options(Reptile.Options):
        """Persistent moments."""

        inner_optimizer_state: str = Field("persistent", description="moments run on")

    def __init__(self, bench, options):
        super().__init__(bench, options)
        self.additive = True


@caught_by("permuted classes permute outputs")
class SaysEquivariant(FOMAML):
    equivariant = True


@caught_by("training beats the untrained")
class ClimbsTheLoss(FOMAML):
    def apply(self, direction):
        super().apply(direction._replace(sums={name: -value for name, value in direction.sums.items()}))


@caught_by("training beats the untrained")
class NeverLearns(FOMAML):
    def apply(self, direction):
        pass


@caught_by("options are described")
class SilentOption(FOMAML):
    class Options(FOMAML.Options):
        """Options."""

        strength: float = 1.0


@caught_by("defaults are valid")
class BadDefault(FOMAML):
    class Options(FOMAML.Options):
        """Options."""

        strength: float = Field(-1.0, ge=0, description="how much")


@caught_by("defaults are valid")
class NoDefault(FOMAML):
    class Options(FOMAML.Options):
        """Options."""

        strength: float = Field(description="how much")


@caught_by("unknown options are refused")
class TakesAnything(FOMAML):
    class Options(FOMAML.Options, extra="ignore"):
        """Options."""


@caught_by("presets are valid")
class StalePreset(FOMAML):
    presets = (Preset(name="quick", source="here", iterations=10, meta_batch=4, options={"inner_rate": 0.1}),)


@caught_by("presets are valid")
class PresetWithoutSource(FOMAML):
    presets = (Preset(name="quick", iterations=10, meta_batch=4),)


@caught_by("documented")
class Undocumented(FOMAML):
    pass


Undocumented.__doc__ = None


# Backbones


class Flat(Backbone):
    """A sound one: flatten, a hidden layer, batch norm."""

    def features(self, input_shape):
        pixels = int(np.prod(input_shape))
        return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 6, bias=False), BatchNorm(6), *self.more()), 6

    def more(self):
        return [nn.Tanh()]


def module(function):
    """A module without parameters."""

    class Layer(nn.Module):
        def forward(self, x):
            return function(x)

    return Layer()


@caught_by("shapes and types", "backbone")
class WrongWidth(Flat):
    def features(self, input_shape):
        return super().features(input_shape)[0], 5


@caught_by("shapes and types", "backbone")
class CastsToFloat32(Flat):
    def head(self, features, outputs):
        return nn.Sequential(super().head(features, outputs), module(lambda x: x.float()))


@caught_by("other shapes are refused in a sentence", "backbone")
class CrashesOnColour(Flat):
    def features(self, input_shape):
        return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 6), nn.Tanh()), 6


@caught_by("seed decides the parameters", "backbone")
class OwnRandomState(Flat):
    def features(self, input_shape):
        made, width = super().features(input_shape)
        with torch.no_grad():
            made[1].weight.fill_(0.1)
            made[1].weight[0, 0] = random.Random().random()
        return made, width


@caught_by("a pass leaves no trace", "backbone")
class RunningMean(Flat):
    def more(self):
        class Centre(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("mean", torch.zeros(6))

            def forward(self, x):
                self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
                return x - self.mean

        return [Centre()]


@caught_by("inductive examples do not mix", "backbone")
class CentresTheBatch(Flat):
    def more(self):
        return [module(lambda x: x - x.mean(0))]


@caught_by("statistics can be replayed", "backbone")
class ShufflesItsLayers(Flat):
    def more(self):
        first, second, turns = BatchNorm(6), BatchNorm(6), itertools.count()
        nn.init.constant_(second.bias, 0.5)

        class Either(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([first, second])

            def forward(self, x):
                one, other = self.layers if next(turns) % 2 else reversed(self.layers)
                return torch.relu(other(torch.relu(one(x))))

        return [Either()]


@caught_by("every parameter matters", "backbone")
class DeadLayer(Flat):
    def more(self):
        class Dead(nn.Module):
            def __init__(self):
                super().__init__()
                self.unused = nn.Linear(6, 6)

            def forward(self, x):
                return torch.tanh(x)

        return [Dead()]


@caught_by("tasks can be vectorised", "backbone")
class Drops(Flat):
    def more(self):
        return [nn.Tanh(), nn.Dropout(0.5)]


@caught_by("it can be differentiated twice", "backbone")
class FirstOrderOnly(Flat):
    def more(self):
        return [module(lambda x: x.detach() * x)]


# Data sets


class Patterns(TaskSource):
    """A sound one: random patterns."""

    info = SourceInfo("patterns", "none needed", "nobody")
    sizes: ClassVar = {"train": 8, "val": 6, "test": 6}

    def load(self):
        return {split: self.pool(split) for split in self.sizes}

    def pool(self, split):
        return ClassPool(self.pictures(split), self.offsets(split), self.names(split))

    def names(self, split):
        return tuple(f"{split} {number}" for number in range(self.sizes[split]))

    def offsets(self, split):
        return np.arange(self.sizes[split] + 1, dtype=np.int64) * 5

    def pictures(self, split):
        generator = torch.Generator().manual_seed(len(split) + ord(split[-1]))
        return (255 * torch.rand(self.sizes[split] * 5, 1, 6, 6, generator=generator)).to(torch.uint8)


class Odd(ClassPool):
    """A pool whose episodes are changed by ``change(batch, keys)``."""

    change = None

    def episodes(self, keys, ways, shots, queries):
        batch = super().episodes(keys, ways, shots, queries)
        return type(self).change(batch, keys, queries)


def odd(function):
    """A pool class with that change."""
    return type("OddPool", (Odd,), {"change": staticmethod(function)})


class OddPatterns(Patterns):
    pool_class = Odd

    def pool(self, split):
        return self.pool_class(self.pictures(split), self.offsets(split), self.names(split))


@caught_by("licence and source are named", "dataset")
class NoLicence(Patterns):
    info = SourceInfo("patterns", "", "nobody")


@caught_by("splits are complete", "dataset")
class NoValidation(Patterns):
    sizes: ClassVar = {"train": 8, "test": 6}


@caught_by("no test class is seen in training", "dataset")
class SharedClass(Patterns):
    def names(self, split):
        return ("everywhere", *super().names(split)[1:])


@caught_by("no test class is seen in training", "dataset")
class SharedPictures(Patterns):
    def pictures(self, split):
        return super().pictures("train")[: self.sizes[split] * 5]


@caught_by("hash is of the content alone", "dataset")
class SplitsAtRandom(Patterns):
    def pictures(self, split):
        return (255 * torch.rand(self.sizes[split] * 5, 1, 6, 6)).to(torch.uint8)


@caught_by("hash is of the content alone", "dataset")
class TrustsListings(Patterns):
    def names(self, split):
        folder = self.places.cache.parent / "listed"
        folder.mkdir(parents=True, exist_ok=True)
        for name in super().names(split):
            (folder / name).touch()
        return tuple(name for name in os.listdir(folder) if name.startswith(split))  # noqa: PTH208


@caught_by("episodes are well formed", "dataset")
class RawPixels(Patterns):
    def pool(self, split):
        return ClassPool(self.pictures(split), self.offsets(split), self.names(split), scale=1.0)


@caught_by("episodes are well formed", "dataset")
class LabelsOfThePool(OddPatterns):
    pool_class = odd(lambda batch, keys, queries: batch._replace(query=Examples(batch.query.x, batch.query.y + 1)))


@caught_by("queries are other examples than the support", "dataset")
class TestsOnTheSupport(OddPatterns):
    pool_class = odd(lambda batch, keys, queries: batch._replace(query=batch.support) if queries == 1 else batch)


@caught_by("episodes hang on their keys alone", "dataset")
class CentresTheEpisodes(OddPatterns):
    pool_class = odd(
        lambda batch, keys, queries: batch._replace(
            support=Examples(batch.support.x - batch.support.x.mean(), batch.support.y)
        )
    )


@caught_by("more queries keep the support", "dataset")
class QueriesFirst(OddPatterns):
    pool_class = odd(lambda batch, keys, queries: batch._replace(support=_flipped(batch.support, queries)))


def _flipped(support, queries):
    return Examples(support.x.flip(-1) if queries > 1 else support.x, support.y)


class _Forgetful(ClassPool):
    def labelled(self, key, count):
        examples = super().labelled(key, count)
        return Examples(examples.x, torch.randint(0, self.size, (count,)))


@caught_by("labelled examples are well formed", "dataset")
class RandomLabels(OddPatterns):
    pool_class = _Forgetful


class _Generous(ClassPool):
    def episodes(self, keys, ways, shots, queries):
        return super().episodes(keys, min(ways, self.size), shots, queries)


@caught_by("too much is refused in a sentence", "dataset")
class GrantsTooMuch(OddPatterns):
    pool_class = _Generous


# Samplers


@caught_by("episodes are well formed", "sampler")
class OneShort(TaskSampler):
    def episodes(self, split, first, count, *, shots, queries):
        return super().episodes(split, first, count - 1, shots=shots, queries=queries)


@caught_by("an episode hangs on its number alone", "sampler")
class Counts(TaskSampler):
    drawn = 0

    def key_index(self, split, index):
        self.drawn += len(index)
        return index * 0 + self.drawn + np.arange(len(index))


@caught_by("an episode hangs on its number alone", "sampler")
class DrawsFromNumpy(TaskSampler):
    def key_index(self, split, index):
        return np.random.randint(0, 1000, len(index))


@caught_by("more queries keep the support", "sampler")
class QueriesInTheKey(TaskSampler):
    def episodes(self, split, first, count, *, shots, queries):
        return super().episodes(split, first + 1000 * queries, count, shots=shots, queries=queries)


@caught_by("evaluation episodes are shared", "sampler")
class TestsByTrainingSeed(TaskSampler):
    def __init__(self, pools, ways, *, episode_seed, training_seed, options):
        super().__init__(pools, ways, episode_seed=training_seed, training_seed=training_seed, options=options)


@caught_by("evaluation episodes are shared", "sampler")
class OneTestEpisode(TaskSampler):
    def key_index(self, split, index):
        return index if split == "train" else index * 0


@caught_by("training seeds differ", "sampler")
class AlwaysTheSameTraining(TaskSampler):
    def keys(self, split, first, count):
        if split == "train":
            return mix(seed_key("always"), np.arange(first, first + count))
        return super().keys(split, first, count)


@caught_by("no test class is seen in training", "sampler")
class TrainsOnTest(TaskSampler):
    def episodes(self, split, first, count, *, shots, queries):
        pool = self.pools["test" if split == "train" else split]
        return pool.episodes(self.keys(split, first, count), self.ways, shots, queries)


@caught_by("labelled minibatches hang on their number alone", "sampler")
class RandomMinibatches(TaskSampler):
    def labelled(self, split, index, count):
        return super().labelled(split, index + random.randint(0, 1000), count)
