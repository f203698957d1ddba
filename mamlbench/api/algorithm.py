"""Algorithms: the contract of a method, and the bases that most methods start from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, NamedTuple

from torch import Tensor
from typing_extensions import TypeVar

from mamlbench.api.engine import Engine, StateT
from mamlbench.data.episodes import EpisodeBatch, Examples
from mamlbench.nn.model import Model
from mamlbench.nn.optimizers import OuterOptimizer, OuterOptions
from mamlbench.nn.parameters import Parameters
from mamlbench.nn.pytree import copy_into, prefixed, unprefixed
from mamlbench.objectives import Objective, TaskKind
from mamlbench.run_spec import Mode, Preset
from mamlbench.run_spec.options import Options

OptionsT = TypeVar("OptionsT", bound=Options, default=Any)
"""Options of a method."""
OuterOptionsT = TypeVar("OuterOptionsT", bound=OuterOptions, default=Any)
"""Options of a method with an outer optimizer."""


class OuterUpdate(NamedTuple):
    """What a batch contributes to the next outer step, as sums over its tasks.

    Sums, not means, so that parts of a batch can be computed apart and added with ``+``: chunks of tasks on
    one machine, or the shares of several ranks. An all-reduce over ranks adds ``sums``, ``loss`` and ``count`` between
    ``compute_update`` and ``apply``; every rank then applies the same update.

    Attributes:
        sums: one tensor per meta-parameter, by name and of its shape, summed over tasks.
        loss: the training loss summed over tasks, a scalar ``[]``.
        count: number of tasks (or of labeled examples).
        carry: what a sequential method passes from one batch to the next.
    """

    sums: Mapping[str, Tensor]  # one tensor per meta-parameter, summed over tasks
    loss: Tensor  # [] training loss, summed over tasks
    count: int  # type: ignore[assignment]  # number of tasks (or labeled examples)
    carry: Any = None  # what a sequential method passes from one batch to the next

    def __add__(self, other: object) -> OuterUpdate:
        """Add two parts of a batch; ``carry`` is the later part's."""
        if not isinstance(other, OuterUpdate):
            return NotImplemented
        sums = Parameters(self.sums) + Parameters(other.sums)
        return OuterUpdate(sums, self.loss + other.loss, self.count + other.count, other.carry)

    @property
    def mean(self) -> Parameters:
        """The sums divided by the count: one tensor per meta-parameter, by name and of its shape."""
        return Parameters(self.sums) / self.count


@dataclass(frozen=True)
class MethodContext:
    """What the harness passes to an algorithm.

    Args:
        build: makes the backbone's network with that many outputs, initialized from the run's seed.
        objective: loss of one task, and the names of its metrics.
        pooled_objective: the same of all training classes (or all training functions) at once, for pretraining.
        engine: runs per-task functions over tasks.
        iterations: planned meta-iterations, for schedules.
        shots: support examples per class in training episodes.
        seed: the run's training seed; networks of its own are initialized ``with seeded("name", seed)``.
    """

    build: Callable[[int], Model]
    objective: Objective
    pooled_objective: Objective
    engine: Engine
    iterations: int
    shots: int
    seed: int = 0


class Algorithm(ABC, Generic[StateT, OptionsT]):
    """A meta-learning method: ``class Mine(Algorithm[MyState, MyOptions])``.

    All that training changes goes out through ``state`` and comes in through ``load_state``.

    Attributes:
        Options: the method's options; each field has a default and a description.
        presets: settings by name, data set and protocol, each with its source.
        gradient_order: 2 if the meta-gradient runs through the inner loop, 1 if it does not, None without one.
        kinds: the tasks that it can learn, as ``Dataset.kind`` names them; others are refused.
        trains_on: 'episodes', or 'examples' of all training classes with their labels.
        vectorized: whether the functions of one task can be run for many at once; if False, only the loop is right.
        additive: whether the update of a batch is the sum of those of its parts, so that parts may be computed apart.
            An instance may set another value than its class. Of a method that trains on labeled examples it is asked
            without batch norm, which ties a minibatch together in any case.
        any_ways: whether it can train with other ways than it is tested with, since its network needs no output for
            each class. In training ``init`` then takes the ways from the support set, ``context.shots`` examples of
            each class.
        uses_queries: whether training looks at the query sets of its episodes; if not, they are empty.
        adapts_features: whether the test-time stage is there to change the features: a frozen encoder, whose features
            were computed once, is refused then. An instance may set it.
        equivariant: whether permuting the classes of an episode permutes its outputs and nothing else.
        neutral_options: options that change no number, only time or memory: name and what it changes.
        meta: what training learns and a model artifact keeps, by name.

    ``mamlbench check`` holds a method to each of these.
    """

    Options: ClassVar[type[Options]] = Options
    presets: ClassVar[tuple[Preset, ...]] = ()
    gradient_order: ClassVar[int | None] = None
    kinds: ClassVar[tuple[TaskKind, ...]] = ("classification", "regression", "multi-label")
    trains_on: ClassVar[Literal["episodes", "examples"]] = "episodes"
    vectorized: ClassVar[bool] = True
    additive: bool = True
    any_ways: ClassVar[bool] = False
    uses_queries: ClassVar[bool] = True
    adapts_features: bool = False
    equivariant: ClassVar[bool] = False
    neutral_options: ClassVar[Mapping[str, str]] = {}
    meta: Parameters

    def __init__(self, context: MethodContext, options: OptionsT) -> None:
        self.context = context
        self.engine = context.engine
        self.objective = context.objective
        self.options = options

    @abstractmethod
    def compute_update(self, batch: Any) -> OuterUpdate:
        """Compute the next outer update; nothing is changed.

        Args:
            batch: an EpisodeBatch of T tasks, support and query x ``[T, n, *input_shape]``; or, if the method trains
                on them, labeled Examples, x ``[n, *input_shape]``.
        """

    @abstractmethod
    def apply(self, update: OuterUpdate) -> None:
        """Take the outer step: change ``meta``, the optimizer, and whatever else training changes.

        The update covers the whole batch: if one is split, over chunks or ranks, its parts are added up before.
        """

    @abstractmethod
    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks[StateT]]:
        """Yield T tasks after 0, 1, ... adaptation steps. ``meta`` stays as it is.

        Args:
            support: x ``[T, n, *input_shape]``, y ``[T, n]`` (or ``[T, n, outputs]``).
            keys: int64 ``[T]``, for what is random inside a task.
        """

    @abstractmethod
    def initial_state(self, support: Examples) -> StateT:
        """The state of ONE task, with support x ``[n, *input_shape]``, before its first step at test time.

        No gradient with respect to ``meta`` is taken through it.
        """

    @abstractmethod
    def predict(self, state: StateT, support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        """Outputs of ONE adapted task for query examples: ``[n, *input_shape]`` to ``[n, outputs]``."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that training changes: tensors by name, of any shape, without nesting."""

    @abstractmethod
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what ``state`` returned, by name and bit for bit."""

    def adapt(self, support: Examples, keys: Tensor) -> AdaptedTasks[StateT]:
        """Adapt to T support sets (x ``[T, n, *input_shape]``, keys int64 ``[T]``), taking all test-time steps.

        Raises RuntimeError if ``adaptation`` yields nothing.
        """
        last = deque(self.adaptation(support, keys), maxlen=1)
        if not last:
            raise RuntimeError(f"{type(self).__name__}.adaptation yielded nothing")
        return last[0]


class AdaptedTasks(Generic[StateT]):
    """T adapted tasks.

    Args:
        algorithm: the method; its ``initial_state`` and ``predict`` are used.
        states: the method's state with a leading dimension T on every tensor; None before the first step: every task
            starts from the shared state.
        support: what they were adapted to: x ``[T, n, *input_shape]``.
    """

    def __init__(self, algorithm: Algorithm[StateT, Any], states: StateT | None, support: Examples) -> None:
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


class InnerLoop(Algorithm[StateT, OptionsT]):
    """A method that adapts in steps: write ``init`` and ``step`` for ONE task, and set ``test_steps``."""

    test_steps: int

    @abstractmethod
    def init(self, meta: Parameters, support: Examples) -> StateT:
        """The state before the first step: any pytree of tensors.

        Args:
            meta: what training learns, by name; in training the engine differentiates with respect to it.
            support: ONE task's examples: x ``[n, *input_shape]``, y ``[n]``.
        """

    @abstractmethod
    def step(self, state: StateT, support: Examples) -> StateT:
        """The state after one more step on ONE task's examples: x ``[n, *input_shape]``, y ``[n]``."""

    @abstractmethod
    def parameters(self, state: StateT) -> Mapping[str, Tensor]:
        """The network's parameters in a state, by name."""

    @property
    @abstractmethod
    def model(self) -> Model:
        """The network that tasks are solved with."""

    def initial_state(self, support: Examples) -> StateT:
        """``init`` at ``meta``; override it to leave out what only a gradient with respect to ``meta`` needs.

        Args:
            support: ONE task's examples: x ``[n, *input_shape]``, y ``[n]``.
        """
        return self.init(self.meta, support)

    def prepare_support(self, support: Examples) -> Examples:
        """What the test-time steps see of T support sets ``[T, n, ...]``: the examples themselves unless overridden."""
        return support

    def minibatch(self, support: Examples, keys: Tensor, step: int, *, training: bool) -> Examples:
        """The support examples ``[T, n, ...]`` that step number ``step`` sees (0: the first); all unless overridden."""
        return support

    def adaptation(self, support: Examples, keys: Tensor) -> Iterator[AdaptedTasks[StateT]]:
        yield AdaptedTasks(self, None, support)
        seen = self.prepare_support(support)
        yield from (AdaptedTasks(self, states, support) for states in self.inner_loop(seen, keys, self.test_steps))

    def inner_loop(self, support: Examples, keys: Tensor, steps: int, *, training: bool = False) -> Iterator[StateT]:
        """Yield the states of T tasks after 1, 2, ... steps: the state of ``step``, with a leading dimension T.

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
                    lambda support, seen: self.step(self.initial_state(support), seen), support, seen
                )
            else:
                states = self.engine.map(self.step, states, seen)
            yield states

    def predict(self, state: StateT, support_x: Tensor, x: Tensor, mode: Mode) -> Tensor:
        return self.model.predict(self.parameters(state), support_x, x, mode)


class MetaOptimized(InnerLoop[StateT, OptionsT]):
    """A method whose meta-parameters an outer optimizer moves against the mean update.

    Set ``meta`` and ``outer`` in ``__init__``, and write ``compute_update``.
    """

    outer: OuterOptimizer

    def apply(self, update: OuterUpdate) -> None:
        self.outer.step(update.mean)

    def state(self) -> dict[str, Tensor]:
        return {**prefixed("meta", self.meta), **prefixed("outer", self.outer.state())}

    def load_state(self, state: dict[str, Tensor]) -> None:
        copy_into(self.meta, unprefixed("meta", state))
        self.outer.load_state(unprefixed("outer", state))


class GradientBased(MetaOptimized[StateT, OuterOptionsT]):
    """A method whose outer loss is differentiated by the engine: write ``init``, ``step`` and ``loss`` for ONE task.

    ``compute_update`` and ``apply`` are written: the mean meta-gradient goes to the outer optimizer. A method that
    learns more than the network's parameters names it in ``initial_meta``. How many inner steps are taken in training
    and at test time the options ``train_steps`` and ``test_steps`` say, or class attributes of these names; else none.
    """

    Options: ClassVar[type[Options]] = OuterOptions
    gradient_order: ClassVar[int] = 2
    train_steps: int

    def __init__(self, context: MethodContext, options: OuterOptionsT) -> None:
        super().__init__(context, options)
        self._model = context.build(context.objective.outputs)
        self.meta = Parameters(self.initial_meta())
        self.outer = OuterOptimizer(self.meta, options, context.iterations)
        self.train_steps, self.test_steps = (
            getattr(options, name, getattr(self, name, 0)) for name in ("train_steps", "test_steps")
        )

    def initial_meta(self) -> Mapping[str, Tensor]:
        """What training learns, by name, as it is before training: the network's parameters unless overridden."""
        return self.model.initial_parameters()

    @abstractmethod
    def loss(self, state: StateT, query: Examples) -> Tensor:
        """The outer loss, a scalar ``[]``, of ONE adapted task on its query set x ``[n, *input_shape]``, y ``[n]``.

        The engine differentiates it with respect to ``meta``.
        """

    def inner_loss(self, state: StateT, support: Examples) -> Tensor:
        """The inner loss, a scalar ``[]``, of ONE task on its support set x ``[n, *input_shape]``, y ``[n]``.

        ``step`` descends it. The same function as the outer ``loss`` unless overridden.
        """
        return self.loss(state, support)

    @property
    def model(self) -> Model:
        return self._model

    def parameters(self, state: StateT) -> Mapping[str, Tensor]:
        return state  # type: ignore[return-value]

    def compute_update(self, batch: EpisodeBatch) -> OuterUpdate:
        sums, loss = self.engine.meta_gradient(self, self.meta, batch, self.train_steps)
        return OuterUpdate(sums, loss, batch.tasks)
