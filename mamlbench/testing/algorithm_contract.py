"""Shapes, determinism, purity and state of an algorithm."""

from __future__ import annotations

import torch
from safetensors.torch import load, save
from torch import Tensor

from mamlbench.api import AdaptedTasks, Algorithm, ConfigError, EpisodeBatch, Examples, OuterUpdate
from mamlbench.nn.precision import in_precision
from mamlbench.run_spec import MODES
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.run_checks import Check, NotApplicable, demand
from mamlbench.testing.tensor_comparison import changed, distance, global_seed, same, snapshot
from mamlbench.testing.tiny import QUERIES, WAYS

TOLERANCE = 1e-8
"""Relative difference in float64 that the order of summation may make."""


def shapes_and_types(subject: AlgorithmSubject) -> None:
    """Directions have the shapes of the meta-parameters, predictions those of the problem, both the network's dtype."""
    algorithm = subject.build()
    batch = subject.training_batch(algorithm)
    direction = algorithm.compute_update(batch)
    demand(isinstance(direction, OuterUpdate), f"direction returned a {type(direction).__name__}, not a Direction")
    demand(set(direction.sums) == set(algorithm.meta), "direction.sums and meta have different names")
    for name, value in algorithm.meta.items():
        _demand_like(direction.sums[name], value.shape, f"direction.sums['{name}']")
        _demand_like(value, value.shape, f"meta['{name}']")
    _demand_like(direction.loss, torch.Size([]), "direction.loss")
    expected = batch.tasks if isinstance(batch, EpisodeBatch) else batch.y.shape[0]
    demand(direction.count == expected, f"direction.count is {direction.count} for {expected} tasks or examples")
    episodes = subject.episodes()
    learners = list(algorithm.adaptation(episodes.support, episodes.keys))
    demand(bool(learners), "adaptation yielded no learner, not even the one before the first step")
    for learner, when in ((learners[0], "before the first step"), (learners[-1], "after the last step")):
        demand(isinstance(learner, AdaptedTasks), f"adaptation yielded a {type(learner).__name__}, not a Learner")
        for mode in MODES:
            shape = torch.Size([episodes.tasks, WAYS * QUERIES, WAYS])
            _demand_like(learner.predict(episodes.query.x, mode), shape, f"prediction ({mode}, {when})")


def same_seed_same_numbers(subject: AlgorithmSubject) -> None:
    """Two runs from one seed are equal bit for bit, whatever the global random states."""
    found = []
    for seed in (1, 2):
        with global_seed(seed):
            algorithm = subject.trained(subject.build(), 2)
            found.append((snapshot(algorithm.state()), _predictions(algorithm, subject.episodes())))
    differing = changed(found[0][0], found[1][0])
    demand(not differing, f"after two steps of training these differ: {', '.join(differing)}")
    demand(same(found[0][1], found[1][1]), "predictions of two equal learners differ")


def direction_changes_nothing(subject: AlgorithmSubject) -> None:
    """direction only computes: nothing is changed before apply, and asked again it says the same."""
    algorithm = subject.trained(subject.build(), 1)
    batch = subject.training_batch(algorithm)
    before = snapshot(algorithm.state())
    first = algorithm.compute_update(batch)
    differing = changed(before, algorithm.state())
    demand(not differing, f"direction changed {', '.join(differing)}")
    again = algorithm.compute_update(batch)
    differing = changed(first.sums, again.sums)
    demand(not differing, f"asked a second time direction gave other values for {', '.join(differing)}")


def adapt_leaves_the_shared_parameters_alone(subject: AlgorithmSubject) -> None:
    """Adapting and predicting change nothing shared: no test episode learns from another."""
    algorithm = subject.trained(subject.build(), 1)
    episodes, others = subject.episodes(), subject.episodes(first=50)
    expected = _predictions(algorithm, episodes)
    before = snapshot(algorithm.state())
    meta = snapshot(algorithm.meta)
    _predictions(algorithm, others)
    differing = changed(before, algorithm.state()) + changed(meta, algorithm.meta)
    demand(not differing, f"adaptation changed {', '.join(sorted(set(differing)))}")
    demand(
        same(_predictions(algorithm, episodes), expected),
        "an episode is predicted differently after other episodes were adapted to",
    )


def inductive_queries_do_not_mix(subject: AlgorithmSubject) -> None:
    """No query example influences the inductive prediction for another."""
    algorithm = subject.trained(subject.build(), 1)
    episodes = subject.episodes()
    learner = algorithm.adapt(episodes.support, episodes.keys)
    x = episodes.query.x.clone()
    plain = learner.predict(x, "inductive")
    x[:, -1] += 1.0
    perturbed = learner.predict(x, "inductive")
    moved = distance(perturbed[:, :-1], plain[:, :-1])
    demand(moved < TOLERANCE, f"with one query example changed the outputs for others moved by {moved:.2g}")
    demand(not same(perturbed[:, -1], plain[:, -1]), "the outputs for an example do not depend on it")


def tasks_do_not_mix(subject: AlgorithmSubject) -> None:
    """No task's support set influences the predictions for another task."""
    algorithm = subject.trained(subject.build(), 1)
    episodes = subject.episodes()
    plain = _predictions(algorithm, episodes)
    x = episodes.support.x.clone()
    x[0] += torch.linspace(-1, 1, x[0].numel(), dtype=x.dtype).view_as(x[0])
    perturbed = _predictions(algorithm, episodes._replace(support=Examples(x, episodes.support.y)))
    moved = distance(perturbed[1:], plain[1:])
    demand(moved < TOLERANCE, f"with the first task's support changed the outputs of others moved by {moved:.2g}")


def state_round_trips(subject: AlgorithmSubject) -> None:
    """A new instance that loads the state goes on exactly as the old one would have, bit for bit."""
    algorithm = subject.build()
    odd = [name for name, value in algorithm.state().items() if not isinstance(value, Tensor)]
    demand(not odd, f"not tensors: {', '.join(odd)}")
    initial = snapshot(algorithm.state())
    untrained = _predictions(algorithm, subject.episodes())
    subject.trained(algorithm)
    kept = load(save({name: value.cpu().contiguous() for name, value in snapshot(algorithm.state()).items()}))
    twin = subject.build()
    twin.load_state({name: value.clone() for name, value in kept.items()})
    differing = changed(kept, twin.state())
    demand(not differing, f"what was loaded is not what was saved: {', '.join(differing)}")
    for each in (algorithm, twin):
        subject.trained(each, 2)
    differing = changed(algorithm.state(), twin.state())
    demand(not differing, f"two steps later these differ from the run that was not interrupted: {', '.join(differing)}")
    algorithm.load_state(initial)
    demand(
        same(_predictions(algorithm, subject.episodes()), untrained),
        "with its initial state loaded again it does not predict as before training",
    )


def bf16_reaches_the_network(subject: AlgorithmSubject) -> None:
    """Under bf16 the network computes in bfloat16, and updates are in float32; or the method refuses bf16."""
    try:
        algorithm = subject.build(dtype=torch.float32, bf16=True)
    except ConfigError as error:
        raise NotApplicable(f"refuses bf16: {error}") from error
    batch = in_precision(subject.training_batch(algorithm), "float32")
    rounded = algorithm.compute_update(batch).sums
    exact = subject.build(dtype=torch.float32).compute_update(batch).sums
    types = {value.dtype for value in rounded.values()}
    demand(types == {torch.float32}, f"the update is in {', '.join(sorted(map(str, types)))}")
    demand(bool(changed(rounded, exact)), "the update is that of float32, bit for bit: bf16 is ignored")


def _predictions(algorithm: Algorithm, episodes: EpisodeBatch) -> Tensor:
    """Outputs in every mode after the last step: ``[T, n, modes * outputs]``."""
    learner = algorithm.adapt(episodes.support, episodes.keys)
    return torch.cat([learner.predict(episodes.query.x, mode) for mode in MODES], -1)


def _demand_like(value: Tensor, shape: torch.Size, what: str) -> None:
    demand(isinstance(value, Tensor), f"{what} is a {type(value).__name__}, not a tensor")
    demand(value.shape == shape, f"{what} has shape {list(value.shape)}, not {list(shape)}")
    demand(value.dtype == torch.float64, f"{what} is {value.dtype} where the network is float64")
    demand(bool(value.isfinite().all()), f"{what} is not finite")


CONTRACT = (
    Check(
        shapes_and_types,
        "Take dtype and device from the network's own tensors (new_zeros, zeros_like, .to(parameter)); "
        "count is the number of tasks, sums are sums over them.",
    ),
    Check(same_seed_same_numbers, "Draw nothing from global random states: key it by the episode (minibatch_order)."),
    Check(direction_changes_nothing, "Leave every change to apply(direction); compute on copies."),
    Check(
        adapt_leaves_the_shared_parameters_alone,
        "Make new tensors in step instead of changing those in meta, and keep nothing on self while adapting.",
    ),
    Check(inductive_queries_do_not_mix, "Predict with self.model.predict(..., mode), or by the support's statistics."),
    Check(tasks_do_not_mix, "Write functions of ONE task and let self.engine.map run them; never reduce over tasks."),
    Check(
        bf16_reaches_the_network,
        "Run the network through the model that context.build makes, pass its precision on to a model of your own "
        "(Model(network, bf16=model.bf16)), or raise ConfigError if model.bf16.",
    ),
    Check(state_round_trips, "Put everything that training changes into state() and restore all of it in load_state."),
)
