"""What an algorithm declares of itself, held against what it does."""

from __future__ import annotations

import torch
from torch import Tensor

from mamlbench.api import Algorithm, Engine, Examples, OuterUpdate, Parameters
from mamlbench.engine import STRATEGIES, LoopEngine, make_engine
from mamlbench.run_spec import MODES
from mamlbench.testing.algorithm_contract import TOLERANCE
from mamlbench.testing.algorithm_subject import AlgorithmSubject, half
from mamlbench.testing.run_checks import BrokenPromiseError, Check, NotApplicable, demand
from mamlbench.testing.tensor_comparison import distance
from mamlbench.testing.tiny import WAYS

STEP = 1e-5
"""Of central differences: in float64 their error is some 1e-9 of the slope."""

EXACT = 1e-5
"""Relative error below which a gradient is the derivative of the loss."""

DIRECTIONS = 4


def declarations(subject: AlgorithmSubject) -> None:
    """gradient_order is 2, 1 or None, trains_on 'episodes' or 'examples'."""
    order, trains_on = subject.plugin.gradient_order, subject.plugin.trains_on
    demand(order in (None, 1, 2), f"gradient_order is {order!r}")
    demand(trains_on in ("episodes", "examples"), f"trains_on is {trains_on!r}")


def order_of_the_gradient_is_true(subject: AlgorithmSubject) -> None:
    """A gradient declared second-order is the derivative of the outer loss; one declared first-order is not."""
    order = subject.plugin.gradient_order
    if order is None:
        raise NotApplicable("declares no meta-gradient")
    algorithm = subject.trained(subject.build(), 1)
    error = _error_of_gradient(subject, algorithm)
    if order == 1:
        if getattr(algorithm, "train_steps", None) == 0:
            raise NotApplicable("takes no inner steps in training: the two orders are one")
        demand(error > EXACT, "gradient_order is 1, and the direction is the exact derivative through the inner loop")
        return
    demand(error < EXACT, f"gradient_order is 2, and the direction differs by {error:.2g} from the loss's derivative")


def _error_of_gradient(subject: AlgorithmSubject, algorithm: Algorithm) -> float:
    """Direction against central differences of its loss, along itself and some random lines: a relative error."""
    batch = subject.training_batch(algorithm)
    sums = algorithm.compute_update(batch).sums
    generator = torch.Generator().manual_seed(7)
    lines = [sums] + [
        {name: torch.randn(value.shape, generator=generator, dtype=value.dtype) for name, value in sums.items()}
        for _ in range(DIRECTIONS)
    ]
    slopes, claims = [], []
    for line in lines:
        unit = _scaled(line, 1 / max(_length(line), 1e-300))
        slopes.append(_slope(algorithm, batch, unit))
        claims.append(sum(float((sums[name] * unit[name]).sum()) for name in sums))
    slope, claim = torch.tensor(slopes), torch.tensor(claims)
    demand(bool(claim.norm() > 0), "the direction is zero everywhere")
    return float((slope - claim).norm() / claim.norm())


def _slope(algorithm: Algorithm, batch: object, unit: Parameters) -> float:
    losses = []
    for distance_along in (STEP, -STEP):
        _move(algorithm.meta, unit, distance_along)
        losses.append(float(algorithm.compute_update(batch).loss))
        _move(algorithm.meta, unit, -distance_along)
    return (losses[0] - losses[1]) / (2 * STEP)


def _move(meta: Parameters, unit: Parameters, amount: float) -> None:
    with torch.no_grad():
        for name, value in meta.items():
            value.add_(unit[name], alpha=amount)


def _length(tensors: Parameters) -> float:
    return float(torch.stack([value.square().sum() for value in tensors.values()]).sum().sqrt())


def _scaled(tensors: Parameters, factor: float) -> Parameters:
    return {name: factor * value for name, value in tensors.items()}


def every_engine_agrees(subject: AlgorithmSubject) -> None:
    """Directions and predictions are the same numbers on every engine that the method can take."""
    reference = _numbers(subject, LoopEngine())
    for name in ("vmap[2]", *STRATEGIES):
        if name == "loop" or name.endswith("+compiled"):  # compiling takes minutes; the run that compiles compares too
            continue
        if not subject.plugin.vectorized:
            raise NotApplicable("declares vectorized = False: there is the loop alone")
        try:
            numbers = _numbers(subject, make_engine(name))
        except RuntimeError as error:
            raise BrokenPromiseError(f"{name} cannot run it: {str(error).strip().splitlines()[0]}") from error
        for what, value in numbers.items():
            moved = distance(value, reference[what])
            demand(moved < TOLERANCE, f"{what}: {name} differs from the loop by {moved:.2g}")


def _numbers(subject: AlgorithmSubject, engine: Engine) -> dict[str, Tensor]:
    algorithm = subject.trained(subject.build(engine), 1)
    direction = algorithm.compute_update(subject.training_batch(algorithm))
    episodes = subject.episodes()
    numbers = {f"direction of {name}": value for name, value in direction.sums.items()} | {"loss": direction.loss}
    learner = algorithm.adapt(episodes.support, episodes.keys)
    return numbers | {f"{mode} prediction": learner.predict(episodes.query.x, mode) for mode in MODES}


def halves_add_up(subject: AlgorithmSubject) -> None:
    """The directions of two half batches add up to that of the whole batch."""
    algorithm = subject.build(norm=subject.plugin.trains_on == "episodes")
    if not algorithm.additive:
        raise NotApplicable("declares additive = False")
    batch = subject.training_batch(algorithm)
    whole = algorithm.compute_update(batch)
    added: OuterUpdate = algorithm.compute_update(half(batch, 0)) + algorithm.compute_update(half(batch, 1))
    demand(added.count == whole.count, f"counts: {added.count} in two halves, {whole.count} at once")
    for name, value in whole.sums.items():
        moved = distance(added.sums[name], value)
        demand(moved < TOLERANCE, f"sums of '{name}' differ by {moved:.2g}")
    demand(distance(added.loss, whole.loss) < TOLERANCE, "losses do not add up")


def permuted_classes_permute_outputs(subject: AlgorithmSubject) -> None:
    """Naming the classes of an episode otherwise permutes its outputs and changes nothing else."""
    if not subject.plugin.equivariant:
        raise NotApplicable("equivariant is False (the default): not promised")
    algorithm = subject.trained(subject.build(), 1)
    episodes = subject.episodes()
    renamed = torch.roll(torch.arange(WAYS), 1)  # class c is now called renamed[c]
    plain = algorithm.adapt(episodes.support, episodes.keys)
    other = algorithm.adapt(Examples(episodes.support.x, renamed[episodes.support.y]), episodes.keys)
    for mode in MODES:
        outputs, permuted = (each.predict(episodes.query.x, mode) for each in (plain, other))
        moved = distance(permuted[..., renamed], outputs)
        demand(moved < TOLERANCE, f"{mode}: outputs differ by {moved:.2g} beyond the permutation")


PROPERTIES = (
    Check(declarations, "Say gradient_order = 2, 1 or None, and trains_on = 'episodes' or 'examples'."),
    Check(
        order_of_the_gradient_is_true,
        "Declare the order that direction computes. For 2 nothing in init, step or loss may be detached, and "
        "direction.loss is the loss that is lowered.",
    ),
    Check(
        every_engine_agrees,
        "Write functions of one task's tensors without branches on their values or in-place changes, "
        "or declare vectorized = False.",
    ),
    Check(halves_add_up, "Return sums over tasks, not means; where tasks depend on each other, additive = False."),
    Check(permuted_classes_permute_outputs, "Start every class alike (a head of zeros), or equivariant = False."),
)
