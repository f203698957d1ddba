"""The contract of an algorithm: shapes, determinism, purity and state."""

from __future__ import annotations

import torch
from safetensors.torch import load, save
from torch import Tensor

from mamlbench.api import AdaptedTasks, Algorithm, ConfigError, EpisodeBatch, Examples, OuterUpdate
from mamlbench.nn.precision import in_precision
from mamlbench.run_spec import MODES
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.checks import Check, NotApplicable, ensure
from mamlbench.testing.tensor_comparison import changed, distance, global_seed, same, snapshot
from mamlbench.testing.tiny import QUERIES, WAYS

TOLERANCE = 1e-8
"""Relative difference in float64 that the order of summation may cause."""


def can_be_built_and_run(subject: AlgorithmSubject) -> None:
    """It can be built with its default options, computes an update, adapts and predicts."""
    algorithm = subject.build()
    algorithm.compute_update(subject.training_batch(algorithm))
    _predictions(algorithm, subject.episodes())


def shapes_and_types(subject: AlgorithmSubject) -> None:
    """Updates have the shapes of the meta-parameters, predictions those of the objective, in the network's dtype."""
    algorithm = subject.build()
    batch = subject.training_batch(algorithm)
    update = algorithm.compute_update(batch)
    ensure(isinstance(update, OuterUpdate), f"compute_update returned a {type(update).__name__}, not an OuterUpdate")
    ensure(set(update.sums) == set(algorithm.meta), "the update's sums and meta have different names")
    for name, value in algorithm.meta.items():
        _ensure_like(update.sums[name], value.shape, f"sums['{name}']")
        _ensure_like(value, value.shape, f"meta['{name}']")
    _ensure_like(update.loss, torch.Size([]), "the update's loss")
    expected = batch.tasks if isinstance(batch, EpisodeBatch) else batch.y.shape[0]
    ensure(update.count == expected, f"the update's count is {update.count} for {expected} tasks or examples")
    episodes = subject.episodes()
    adapted = list(algorithm.adaptation(episodes.support, episodes.keys))
    ensure(bool(adapted), "adaptation yielded nothing, not even the state before the first step")
    for tasks, when in ((adapted[0], "before the first step"), (adapted[-1], "after the last step")):
        ensure(isinstance(tasks, AdaptedTasks), f"adaptation yielded a {type(tasks).__name__}, not AdaptedTasks")
        for mode in MODES:
            shape = torch.Size([episodes.tasks, WAYS * QUERIES, WAYS])
            _ensure_like(tasks.predict(episodes.query.x, mode), shape, f"prediction ({mode}, {when})")


def same_seed_same_numbers(subject: AlgorithmSubject) -> None:
    """Two runs with the same seed are equal bit for bit, whatever the global random states."""
    runs = []
    for seed in (1, 2):
        with global_seed(seed):
            algorithm = subject.trained(subject.build(), 2)
            runs.append((snapshot(algorithm.state()), _predictions(algorithm, subject.episodes())))
    differing = changed(runs[0][0], runs[1][0])
    ensure(not differing, f"after two training steps these differ: {', '.join(differing)}")
    ensure(same(runs[0][1], runs[1][1]), "predictions of two equal runs differ")


def compute_update_changes_nothing(subject: AlgorithmSubject) -> None:
    """compute_update changes nothing before apply, and a second call returns the same."""
    algorithm = subject.trained(subject.build(), 1)
    batch = subject.training_batch(algorithm)
    before = snapshot(algorithm.state())
    first = algorithm.compute_update(batch)
    differing = changed(before, algorithm.state())
    ensure(not differing, f"compute_update changed {', '.join(differing)}")
    again = algorithm.compute_update(batch)
    differing = changed(first.sums, again.sums)
    ensure(not differing, f"a second call of compute_update returned different values for {', '.join(differing)}")


def adaptation_changes_no_shared_parameters(subject: AlgorithmSubject) -> None:
    """Adapting and predicting change no shared parameters: no test episode affects another."""
    algorithm = subject.trained(subject.build(), 1)
    episodes, other_episodes = subject.episodes(), subject.episodes(first=50)
    expected = _predictions(algorithm, episodes)
    before = snapshot(algorithm.state())
    meta = snapshot(algorithm.meta)
    _predictions(algorithm, other_episodes)
    differing = changed(before, algorithm.state()) + changed(meta, algorithm.meta)
    ensure(not differing, f"adaptation changed {', '.join(sorted(set(differing)))}")
    ensure(
        same(_predictions(algorithm, episodes), expected),
        "the predictions for an episode change after adapting to other episodes",
    )


def inductive_queries_are_independent(subject: AlgorithmSubject) -> None:
    """The inductive prediction for a query example does not depend on other query examples."""
    algorithm = subject.trained(subject.build(), 1)
    episodes = subject.episodes()
    adapted = algorithm.adapt(episodes.support, episodes.keys)
    x = episodes.query.x.clone()
    expected = adapted.predict(x, "inductive")
    x[:, -1] += 1.0
    perturbed = adapted.predict(x, "inductive")
    difference = distance(perturbed[:, :-1], expected[:, :-1])
    ensure(difference < TOLERANCE, f"changing one query example changed the outputs for others by {difference:.2g}")
    ensure(not same(perturbed[:, -1], expected[:, -1]), "the outputs for a query example do not depend on it")


def tasks_are_independent(subject: AlgorithmSubject) -> None:
    """The predictions for a task do not depend on the support sets of other tasks."""
    algorithm = subject.trained(subject.build(), 1)
    episodes = subject.episodes()
    expected = _predictions(algorithm, episodes)
    x = episodes.support.x.clone()
    x[0] += torch.linspace(-1, 1, x[0].numel(), dtype=x.dtype).view_as(x[0])
    perturbed = _predictions(algorithm, episodes._replace(support=Examples(x, episodes.support.y)))
    difference = distance(perturbed[1:], expected[1:])
    ensure(
        difference < TOLERANCE, f"changing the first task's support changed the outputs of others by {difference:.2g}"
    )


def state_round_trips(subject: AlgorithmSubject) -> None:
    """A new instance that loads the state continues like the saved one, bit for bit."""
    algorithm = subject.build()
    not_tensors = [name for name, value in algorithm.state().items() if not isinstance(value, Tensor)]
    ensure(not not_tensors, f"not tensors: {', '.join(not_tensors)}")
    initial = snapshot(algorithm.state())
    untrained = _predictions(algorithm, subject.episodes())
    subject.trained(algorithm)
    saved = load(save({name: value.cpu().contiguous() for name, value in snapshot(algorithm.state()).items()}))
    loaded = subject.build()
    loaded.load_state({name: value.clone() for name, value in saved.items()})
    differing = changed(saved, loaded.state())
    ensure(not differing, f"the loaded state differs from the saved one: {', '.join(differing)}")
    for instance in (algorithm, loaded):
        subject.trained(instance, 2)
    differing = changed(algorithm.state(), loaded.state())
    ensure(not differing, f"two steps later these differ from the uninterrupted run: {', '.join(differing)}")
    algorithm.load_state(initial)
    ensure(
        same(_predictions(algorithm, subject.episodes()), untrained),
        "after loading its initial state again, predictions differ from those before training",
    )


def bf16_reaches_the_network(subject: AlgorithmSubject) -> None:
    """With bf16 the network computes in bfloat16 and updates are float32, or the method raises ConfigError."""
    try:
        algorithm = subject.build(dtype=torch.float32, bf16=True)
    except ConfigError as error:
        raise NotApplicable(f"does not support bf16: {error}") from error
    batch = in_precision(subject.training_batch(algorithm), "float32")
    rounded = algorithm.compute_update(batch).sums
    exact = subject.build(dtype=torch.float32).compute_update(batch).sums
    types = {value.dtype for value in rounded.values()}
    ensure(types == {torch.float32}, f"the update is {', '.join(sorted(map(str, types)))}")
    ensure(bool(changed(rounded, exact)), "the update equals that of float32 bit for bit: bf16 is ignored")


def _predictions(algorithm: Algorithm, episodes: EpisodeBatch) -> Tensor:
    """Return outputs in every mode after the last step: ``[T, n, modes * outputs]``."""
    adapted = algorithm.adapt(episodes.support, episodes.keys)
    return torch.cat([adapted.predict(episodes.query.x, mode) for mode in MODES], -1)


def _ensure_like(value: Tensor, shape: torch.Size, name: str) -> None:
    ensure(isinstance(value, Tensor), f"{name} is a {type(value).__name__}, not a tensor")
    ensure(value.shape == shape, f"{name} has shape {list(value.shape)}, not {list(shape)}")
    ensure(value.dtype == torch.float64, f"{name} is {value.dtype}, but the network is float64")
    ensure(bool(value.isfinite().all()), f"{name} is not finite")


CONTRACT = (
    Check(can_be_built_and_run, "Fix this error first: every other check runs the method.", needed=True),
    Check(
        shapes_and_types,
        "Take dtype and device from the network's tensors (new_zeros, zeros_like, .to(parameter)). "
        "count is the number of tasks, sums are sums over them.",
    ),
    Check(
        same_seed_same_numbers,
        "Do not use global random states: derive random numbers from the episode's key (minibatch_order).",
    ),
    Check(compute_update_changes_nothing, "Change values only in apply(update); compute on copies."),
    Check(
        adaptation_changes_no_shared_parameters,
        "Return new tensors from step instead of changing those in meta, and store nothing on self while adapting.",
    ),
    Check(
        inductive_queries_are_independent,
        "Predict with self.model.predict(..., mode), or with the support's statistics.",
    ),
    Check(
        tasks_are_independent, "Write functions of ONE task and run them with self.engine.map; never reduce over tasks."
    ),
    Check(
        state_round_trips, "Return everything that training changes from state(), and restore all of it in load_state."
    ),
    Check(
        bf16_reaches_the_network,
        "Use the model of context.build, or pass its precision to your own (model.with_head(head)), or raise "
        "ConfigError if model.bf16.",
    ),
)
