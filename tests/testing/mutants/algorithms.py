"""Algorithms that are wrong on purpose."""

import random
from typing import Annotated

import torch
from pydantic import Field
from torch.func import grad

from mamlbench.api import Examples, LogUniform, Model, Preset, prefixed
from mamlbench_plugins.algorithms.anil import ANIL
from mamlbench_plugins.algorithms.fomaml import FOMAML
from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.algorithms.persistent_reptile import PersistentReptile
from mamlbench_plugins.algorithms.reptile import Reptile

from .registry import caught_by


@caught_by("can be built and run")
class FailsInInit(FOMAML):
    def __init__(self, context, options):
        raise ValueError("no network")


@caught_by("can be built and run")
class FailsInStep(FOMAML):
    def step(self, state, support):
        raise ValueError("no step")


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
    def compute_update(self, batch):
        return super().compute_update(batch)._replace(count=batch.examples)


@caught_by("same seed same numbers")
class RandomInsideTasks(FOMAML):
    def compute_update(self, batch):
        update = super().compute_update(batch)
        return update._replace(sums={n: v + 1e-3 * torch.randn_like(v) for n, v in update.sums.items()})


@caught_by("same seed same numbers")
class RandomFromPython(FOMAML):
    def __init__(self, context, options):
        super().__init__(context, options)
        next(iter(self.meta.values())).mul_(1 + 0.1 * random.random())


@caught_by("bf16 reaches the network")
class IgnoresBf16(FOMAML):
    def __init__(self, context, options):
        super().__init__(context, options)
        self._model = Model(self.model.network)


@caught_by("compute update changes nothing")
class AppliesAtOnce(FOMAML):
    def compute_update(self, batch):
        update = super().compute_update(batch)
        next(iter(self.meta.values())).mul_(0.999)
        return update


@caught_by("compute update changes nothing")
class CountsCalls(FOMAML):
    calls = 0

    def compute_update(self, batch):
        self.calls += 1
        update = super().compute_update(batch)
        return update._replace(sums={n: v / self.calls for n, v in update.sums.items()})


@caught_by("adaptation changes no shared parameters")
class AdaptsTheShared(FOMAML):
    def adaptation(self, support, keys):
        for adapted in super().adaptation(support, keys):
            if adapted.states is not None:
                for name, value in self.meta.items():
                    value.lerp_(adapted.states[name].mean(0), 0.1)
            yield adapted


@caught_by("adaptation changes no shared parameters")
class RemembersEpisodes(FOMAML):
    memory = 0.0

    def adaptation(self, support, keys):
        self.memory = self.memory + support.x.mean()
        yield from super().adaptation(support, keys)

    def predict(self, state, support_x, x, mode):
        return super().predict(state, support_x, x, mode) + self.memory


@caught_by("inductive queries are independent")
class AlwaysTransductive(FOMAML):
    def predict(self, state, support_x, x, mode):
        return super().predict(state, support_x, x, "transductive")


@caught_by("inductive queries are independent")
class IgnoresTheQuery(FOMAML):
    def predict(self, state, support_x, x, mode):
        outputs = super().predict(state, support_x, x, mode)
        return 0 * outputs + torch.linspace(0, 1, outputs.shape[-1], dtype=outputs.dtype)


@caught_by("tasks are independent")
class MixesTasks(FOMAML):
    def prepare_support(self, support):
        return Examples(support.x - support.x.mean(0, keepdim=True), support.y)


@caught_by("state round trips")
class ForgetsTheOptimizer(FOMAML):
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


@caught_by("other ways are possible")
class HasAnOutputForEachClass(FOMAML):
    any_ways = True


@caught_by("queries are used as declared")
class SaysItIgnoresQueries(FOMAML):
    uses_queries = False


@caught_by("queries are used as declared")
class IgnoresQueries(Reptile):
    uses_queries = True


@caught_by("gradient order is correct")
class SaysSecondIsFirst(MAML):
    def step(self, state, support):
        gradient = grad(self.inner_loss)(state, support)
        return state - self.options.inner_lr * gradient.map(torch.Tensor.detach)


@caught_by("gradient order is correct")
class SaysFirstIsSecond(FOMAML):
    def compute_update(self, batch):
        second_order = MAML(self.context, self.options)
        second_order.meta = self.meta
        return second_order.compute_update(batch)


@caught_by("gradient order is correct")
class LosesAFactor(MAML):
    def compute_update(self, batch):
        update = super().compute_update(batch)
        return update._replace(sums={name: 0.5 * value for name, value in update.sums.items()})


@caught_by("engines agree")
class BranchesOnValues(FOMAML):
    def loss(self, state, query):
        loss = super().loss(state, query)
        return loss if float(loss.detach()) > -1 else -loss


@caught_by("engines agree")
class DependsOnTheEngine(FOMAML):
    def step(self, state, support):
        return super().step(state, support) if self.engine.name != "loop" else state


@caught_by("half batches add up")
class AveragesTasks(FOMAML):
    def compute_update(self, batch):
        update = super().compute_update(batch)
        return update._replace(sums={name: value / batch.tasks for name, value in update.sums.items()})


@caught_by("half batches add up")
class HidesItsOrder(PersistentReptile):
    """Tasks one after the other, undeclared."""

    additive = True


@caught_by("options are used")
class IgnoresAnOption(FOMAML):
    class Options(FOMAML.Options):
        """Options."""

        strength: float = Field(1.0, ge=0, description="how much")


@caught_by("options are used")
class KeepsMAMLsOption(ANIL):
    """Adds an option for the inner step of MAML, which is not the one that it takes."""

    class Options(ANIL.Options):
        """Options."""

        adapt_norm: bool = Field(False, description="adapt the batch-norm parameters in the inner loop too")


@caught_by("search space is valid")
class SearchesTooFar(FOMAML):
    class Options(FOMAML.Options):
        """Options."""

        inner_lr: Annotated[float, LogUniform(0.1, 10.0)] = Field(0.4, gt=0, le=1, description="inner learning rate α")


@caught_by("permuted classes permute outputs")
class SaysEquivariant(FOMAML):
    equivariant = True


@caught_by("training improves the score")
class ClimbsTheLoss(FOMAML):
    def apply(self, update):
        super().apply(update._replace(sums={name: -value for name, value in update.sums.items()}))


@caught_by("training improves the score")
class NeverLearns(FOMAML):
    def apply(self, update):
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


@caught_by("unknown options are errors")
class TakesAnything(FOMAML):
    class Options(FOMAML.Options, extra="ignore"):
        """Options."""


@caught_by("presets are valid")
class StalePreset(FOMAML):
    presets = (Preset(name="quick", source="here", iterations=10, meta_batch_size=4, options={"inner_rate": 0.1}),)


@caught_by("presets are valid")
class PresetWithoutSource(FOMAML):
    presets = (Preset(name="quick", iterations=10, meta_batch_size=4),)


@caught_by("has docstring")
class Undocumented(FOMAML):
    pass


Undocumented.__doc__ = None
