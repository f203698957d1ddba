"""Algorithms: what a method must say of itself, and the two bases that most methods start from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor

from mamlbench.api.engine import Engine
from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.nn.model import Model, Parameters
from mamlbench.nn.optimizers import OuterOptimizer, OuterOptions
from mamlbench.nn.pytree import copy_into, prefixed, unprefixed
from mamlbench.objectives import Objective
from mamlbench.run_spec import Mode, Preset
from mamlbench.run_spec.options import Options


class OuterUpdate(NamedTuple):
    """What a batch says about the next update, as sums, so that chunks of tasks and ranks can be added up.

    Attributes:
        sums: one tensor per meta-parameter, by name and of its shape, summed over tasks.
        loss: the training loss summed over tasks, a scalar ``[]``.
        count: number of tasks (or of labeled examples).
        carry: what a sequential method hands from one batch to the next.
    """

    sums: Parameters  # one tensor per meta-parameter, summed over tasks
    loss: Tensor  # [] training loss, summed over tasks
    count: int  # type: ignore[assignment]  # number of tasks (or labeled examples)
    carry: Any = None  # what a sequential method hands from one batch to the next

    def __add__(self, other: object) -> OuterUpdate:
        """Take two parts of a batch together; ``carry`` is the later part's."""
        if not isinstance(other, OuterUpdate):
            return NotImplemented
        sums = {name: value + other.sums[name] for name, value in self.sums.items()}
        return OuterUpdate(sums, self.loss + other.loss, self.count + other.count, other.carry)

    @property
    def mean(self) -> Parameters:
        """The sums divided by the count: one tensor per meta-parameter, by name and of its shape."""
        return {name: value / self.count for name, value in self.sums.items()}


@dataclass(frozen=True)
class MethodContext:
    """What the harness hands to an algorithm.

    Args:
        build: makes the backbone's network with that many outputs, initialized from the run's seed.
        objective: loss of one task, and the names of its metrics.
        pooled_objective: the same of all training classes (or all training functions) at once, for pretraining.
        engine: runs per-task functions over tasks.
        iterations: planned meta-iterations, for schedules.
        shots: support examples per class in training episodes.
    """

    build: Callable[[int], Model]
    objective: Objective
    pooled_objective: Objective
    engine: Engine
    iterations: int
    shots: int


class Algorithm(ABC):
    """A meta-learning method. All its state goes out through ``state`` and comes in through ``load_state``.

    Attributes:
        Options: the method's options; each field has a default and a description.
        presets: settings by name, data set and protocol, each with its source.
        gradient_order: 2 where the meta-gradient runs through the inner loop, 1 where it does not, None without one.
        trains_on: 'episodes', or 'examples' of all training classes with their labels.
        vectorized: whether the functions of one task can be run for many at once; where False, only the loop is right.
        additive: whether the direction of a batch is the sum of those of its parts, so that parts may be computed
            apart. An instance may say otherwise where that hangs on its options. Of a method that feeds on labeled
            examples it is asked without batch norm, which ties a minibatch together in any case.
        any_ways: whether it can train with other ways than it is tested with, since its network needs no output for
            each class. In training ``init`` then takes the ways from the support set, ``context.shots`` examples of
            each class.
        uses_queries: whether training looks at the query sets of its episodes; if not, they are empty.
        equivariant: whether permuting the classes of an episode permutes its outputs and nothing else.
        meta: what training learns and a model artifact keeps.

    ``mamlbench check`` holds a method to each of these.
    """

    Options: ClassVar[type[Options]] = Options
    presets: ClassVar[tuple[Preset, ...]] = ()
    gradient_order: ClassVar[int | None] = None
    trains_on: ClassVar[Literal["episodes", "examples"]] = "episodes"
    vectorized: ClassVar[bool] = True
    additive: bool = True
    any_ways: ClassVar[bool] = False
    uses_queries: ClassVar[bool] = True
    equivariant: ClassVar[bool] = False
    meta: Parameters

    def __init__(self, context: MethodContext, options: Any) -> None:
        self.context = context
        self.engine = context.engine
        self.objective = context.objective
        self.options = options

    @abstractmethod
    def compute_update(self, batch: Any) -> OuterUpdate:
        """Compute what to do next; nothing is changed.

        Args:
            batch: an EpisodeBatch of T tasks, support and query x ``[T, n, *input_shape]``; or, where the method feeds
                on them, labeled Examples, x ``[n, *input_shape]``.
        """

    @abstractmethod
    def apply(self, update: OuterUpdate) -> None:
        """Take the outer step: change ``meta``, the optimizer, and whatever else training changes."""

    @abstractmethod
    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks]:
        """Yield the learners of T tasks after 0, 1, ... adaptation steps. ``meta`` stays as it is.

        Args:
            support: x ``[T, n, *input_shape]``, y ``[T, n]`` (or ``[T, n, outputs]``).
            keys: int64 ``[T]``, for what is random inside a task.
        """

    @abstractmethod
    def initial_state(self, support: Examples) -> Any:
        """The state of ONE task, with support x ``[n, *input_shape]``, before the first adaptation step."""

    @abstractmethod
    def predict(self, state: Any, support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        """Outputs of ONE adapted task for query examples: ``[n, *input_shape]`` to ``[n, outputs]``."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that training changes: tensors by name, of any shape, without nesting."""

    @abstractmethod
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what ``state`` returned, by name and bit for bit."""

    def adapt(self, support: Examples, keys: Tensor) -> AdaptedTasks:
        """Adapt to T support sets (x ``[T, n, *input_shape]``, keys int64 ``[T]``) and return their learner.

        Raises RuntimeError where ``adaptation`` yields none.
        """
        learner = None
        for learner in self.adaptation(support, keys):  # noqa: B007 (the last one is wanted)
            pass
        if learner is None:
            raise RuntimeError(f"{type(self).__name__}.adaptation yielded no learner")
        return learner


class AdaptedTasks:
    """T adapted tasks.

    Args:
        algorithm: the method; its ``initial_state`` and ``predict`` are used.
        states: pytree with a leading dimension T; None before the first step: every task starts from the shared state.
        support: what they were adapted to: x ``[T, n, *input_shape]``.
    """

    def __init__(self, algorithm: Algorithm, states: Any, support: Examples) -> None:
        self.algorithm = algorithm
        self.states = states
        self.support = support

    def predict(self, x: Tensor, mode: Mode) -> Tensor:
        """Query examples ``[T, n, *input_shape]`` to outputs ``[T, n, outputs]``."""
        algorithm = self.algorithm
        if self.states is None:
            return algorithm.engine.map(  # type: ignore[no-any-return]
                lambda support, x: algorithm.predict(algorithm.initial_state(support), support.x, x, mode),
                self.support,
                x,
            )
        return algorithm.engine.map(  # type: ignore[no-any-return]
            lambda state, support_x, x: algorithm.predict(state, support_x, x, mode), self.states, self.support.x, x
        )


class InnerLoop(Algorithm):
    """A method that adapts in steps: write ``init`` and ``step`` for ONE task, and say how many at test time."""

    test_steps: int

    @abstractmethod
    def init(self, meta: Parameters, support: Examples) -> Any:
        """The state before the first step: any pytree of tensors.

        Args:
            meta: what training learns, by name.
            support: ONE task's examples: x ``[n, *input_shape]``, y ``[n]``.
        """

    @abstractmethod
    def step(self, state: Any, support: Examples) -> Any:
        """The state after one more step on ONE task's examples: x ``[n, *input_shape]``, y ``[n]``."""

    @abstractmethod
    def parameters(self, state: Any) -> Parameters:
        """The network's parameters in a state, by name."""

    @property
    @abstractmethod
    def model(self) -> Model:
        """The network that tasks are solved with."""

    def initial_state(self, support: Examples) -> Any:
        return self.init(self.meta, support)

    def prepare_support(self, support: Examples) -> Examples:
        """What the test-time steps see of T support sets ``[T, n, ...]``: the examples themselves unless overridden."""
        return support

    def minibatch(self, support: Examples, keys: Tensor, step: int, *, training: bool) -> Examples:
        """The support examples ``[T, n, ...]`` that step number ``step`` sees (0: the first); all unless overridden."""
        return support

    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks]:
        yield AdaptedTasks(self, None, support)
        seen = self.prepare_support(support)
        yield from (AdaptedTasks(self, states, support) for states in self.inner_loop(seen, keys, self.test_steps))

    def inner_loop(self, support: Examples, keys: Tensor, steps: int, *, training: bool = False) -> Iterator[Any]:
        """Yield the states of T tasks after 1, 2, ... steps: the pytree of ``step``, with a leading dimension T.

        Args:
            support: x ``[T, n, *input_shape]``, y ``[T, n]``.
            keys: int64 ``[T]``.
            steps: how many.
            training: whether they are those of training, which ``minibatch`` may treat otherwise.
        """
        states: Any = None
        for number in range(steps):
            seen = self.minibatch(support, keys, number, training=training)
            if states is None:  # the shared initial state is not copied: the first pass is one plain convolution
                states = self.engine.map(
                    lambda support, seen: self.step(self.init(self.meta, support), seen), support, seen
                )
            else:
                states = self.engine.map(self.step, states, seen)
            yield states

    def predict(self, state: Any, support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        return self.model.predict(self.parameters(state), support_x, x, mode)


class MetaOptimized(InnerLoop):
    """A method whose meta-parameters an outer optimizer moves along the mean direction.

    Set ``meta`` and ``outer`` in ``__init__``, and write ``direction``.
    """

    outer: OuterOptimizer

    def apply(self, update: OuterUpdate) -> None:
        self.outer.step(update.mean)

    def state(self) -> dict[str, Tensor]:
        return {**prefixed("meta", self.meta), **prefixed("outer", self.outer.state())}

    def load_state(self, state: dict[str, Tensor]) -> None:
        copy_into(self.meta, unprefixed("meta", state))
        self.outer.load_state(unprefixed("outer", state))


class GradientBased(MetaOptimized):
    """A method whose outer loss is differentiated by the engine: write ``init``, ``step`` and ``loss`` for ONE task.

    ``direction`` and ``apply`` are given: the mean meta-gradient goes to the outer optimizer. A method that learns
    more than the network's parameters says so in ``initial_meta``.
    """

    Options: ClassVar[type[Options]] = OuterOptions
    gradient_order: ClassVar[int] = 2
    train_steps: int

    def __init__(self, context: MethodContext, options: Any) -> None:
        super().__init__(context, options)
        self._model = context.build(context.objective.outputs)
        self.meta = self.initial_meta()
        self.outer = OuterOptimizer(self.meta, options, context.iterations)

    def initial_meta(self) -> Parameters:
        """What training learns, by name, as it is before training: the network's parameters unless overridden."""
        return self.model.initial_parameters()

    @abstractmethod
    def loss(self, state: Any, query: Examples) -> Tensor:
        """The outer loss, a scalar ``[]``, of ONE adapted task on its query set x ``[n, *input_shape]``, y ``[n]``."""

    @property
    def model(self) -> Model:
        return self._model

    def parameters(self, state: Any) -> Parameters:
        return state  # type: ignore[no-any-return]

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        sums, loss = self.engine.meta_gradient(self, self.meta, batch, self.train_steps)
        return OuterUpdate(sums, loss, batch.tasks)
