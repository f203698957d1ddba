"""The contract of an algorithm: its declared properties are correct."""

from __future__ import annotations

import torch
from pydantic import ValidationError
from torch import Tensor

from mamlbench.api import Algorithm, Engine, Examples, OuterUpdate, Parameters
from mamlbench.engine import STRATEGIES, LoopEngine, make_engine
from mamlbench.nn.torch_grad import torch_grad_is_routed, torch_grad_route
from mamlbench.run_spec import MODES
from mamlbench.testing.algorithm_contract import TOLERANCE
from mamlbench.testing.algorithm_subject import AlgorithmSubject, half
from mamlbench.testing.checks import Check, ContractError, NotApplicable, ensure
from mamlbench.testing.tensor_comparison import distance
from mamlbench.testing.tiny import WAYS

STEP = 1e-5
"""Step of central differences: in float64 their relative error is about 1e-9."""

EXACT = 1e-5
"""Relative error below which a gradient counts as the derivative of the loss."""

RANDOM_DIRECTIONS = 4
INNER_STEPS = 3
"""Inner steps of the test, if the method has fewer by default: a gradient may be cut after the first one."""


def declarations(subject: AlgorithmSubject) -> None:
    """gradient_order is 2, 1 or None; trains_on is 'episodes' or 'examples'."""
    order, trains_on = subject.plugin.gradient_order, subject.plugin.trains_on
    ensure(order in (None, 1, 2), f"gradient_order is {order!r}")
    ensure(trains_on in ("episodes", "examples"), f"trains_on is {trains_on!r}")


def gradient_order_is_correct(subject: AlgorithmSubject) -> None:
    """A meta-gradient declared second-order is the derivative of the outer loss; one declared first-order is not."""
    order = subject.plugin.gradient_order
    if order is None:
        raise NotApplicable("declares no meta-gradient")
    subject = _with_inner_steps(subject)
    algorithm = subject.trained(subject.build(), 1)
    error = _gradient_error(subject, algorithm)
    if order == 1:
        if getattr(algorithm, "train_steps", None) == 0:
            raise NotApplicable("takes no inner steps in training, so both orders are equal")
        ensure(error > EXACT, "gradient_order is 1, but the update is the exact derivative through the inner loop")
        return
    ensure(error < EXACT, f"gradient_order is 2, but the update differs by {error:.2g} from the derivative of the loss")


def _with_inner_steps(subject: AlgorithmSubject) -> AlgorithmSubject:
    """Return the subject with some inner steps in training, as far as its options allow them."""
    steps = getattr(subject.options(), "train_steps", None)
    if not isinstance(steps, int) or not 0 < steps < INNER_STEPS:
        return subject
    more = subject.with_options(train_steps=INNER_STEPS)
    try:
        more.options()
    except ValidationError:  # the method allows fewer
        return subject
    return more


def _gradient_error(subject: AlgorithmSubject, algorithm: Algorithm) -> float:
    """Return the relative error of the update against central differences of the loss, along several directions."""
    batch = subject.training_batch(algorithm)
    sums = Parameters(algorithm.compute_update(batch).sums)
    generator = torch.Generator().manual_seed(7)
    measured, computed = [], []
    for direction in (sums, *(_random_like(sums, generator) for _ in range(RANDOM_DIRECTIONS))):
        unit = direction / direction.dot(direction).sqrt().clamp_min(1e-300)
        measured.append(_central_difference(algorithm, batch, unit))
        computed.append(float(sums.dot(unit)))
    difference, gradient = torch.tensor(measured), torch.tensor(computed)
    ensure(bool(gradient.norm() > 0), "the update is zero everywhere")
    return float((difference - gradient).norm() / gradient.norm())


def _random_like(tensors: Parameters, generator: torch.Generator) -> Parameters:
    return tensors.map(lambda value: torch.randn(value.shape, generator=generator, dtype=value.dtype))


def _central_difference(algorithm: Algorithm, batch: object, unit: Parameters) -> float:
    losses = []
    for step in (STEP, -STEP):
        _move(algorithm.meta, unit, step)
        losses.append(float(algorithm.compute_update(batch).loss))
        _move(algorithm.meta, unit, -step)
    return (losses[0] - losses[1]) / (2 * STEP)


def _move(meta: Parameters, unit: Parameters, amount: float) -> None:
    with torch.no_grad():
        for name, value in meta.items():
            value.add_(unit[name], alpha=amount)


def engines_agree(subject: AlgorithmSubject) -> str:
    """Updates and predictions are equal on every engine that supports the method."""
    reference = _numbers(subject, LoopEngine())
    for name in ("vmap[2]", *STRATEGIES):
        if name == "loop" or name.endswith(
            "+compiled"
        ):  # compiling takes minutes, and a run that compiles checks agreement itself
            continue
        if not subject.plugin.vectorized:
            raise NotApplicable("declares vectorized = False: only the loop engine supports it")
        try:
            numbers = _numbers(subject, make_engine(name))
        except RuntimeError as error:
            raise ContractError(f"{name} cannot run it: {str(error).strip().splitlines()[0]}") from error
        for quantity, value in numbers.items():
            difference = distance(value, reference[quantity])
            ensure(difference < TOLERANCE, f"{quantity}: {name} differs from the loop by {difference:.2g}")
    if torch_grad_is_routed():
        return ""
    return f"torch.func.grad is slower here than mamlbench.api.grad, up to 20 %: its path is {torch_grad_route()}"


def _numbers(subject: AlgorithmSubject, engine: Engine) -> dict[str, Tensor]:
    algorithm = subject.trained(subject.build(engine), 1)
    update = algorithm.compute_update(subject.training_batch(algorithm))
    episodes = subject.episodes()
    numbers = {f"update of {name}": value for name, value in update.sums.items()} | {"loss": update.loss}
    adapted = algorithm.adapt(episodes.support, episodes.keys)
    return numbers | {f"{mode} prediction": adapted.predict(episodes.query.x, mode) for mode in MODES}


def half_batches_add_up(subject: AlgorithmSubject) -> None:
    """The updates of two half batches add up to that of the whole batch."""
    algorithm = subject.build(norm=subject.plugin.trains_on == "episodes")
    if not algorithm.additive:
        raise NotApplicable("declares additive = False")
    batch = subject.training_batch(algorithm)
    whole = algorithm.compute_update(batch)
    total: OuterUpdate = algorithm.compute_update(half(batch, 0)) + algorithm.compute_update(half(batch, 1))
    ensure(total.count == whole.count, f"counts: {total.count} in two halves, {whole.count} at once")
    for name, value in whole.sums.items():
        difference = distance(total.sums[name], value)
        ensure(difference < TOLERANCE, f"sums of '{name}' differ by {difference:.2g}")
    ensure(distance(total.loss, whole.loss) < TOLERANCE, "losses do not add up")


def permuted_classes_permute_outputs(subject: AlgorithmSubject) -> None:
    """Renaming the classes of an episode permutes its outputs and changes nothing else."""
    if not subject.plugin.equivariant:
        raise NotApplicable("equivariant is False (the default)")
    algorithm = subject.trained(subject.build(), 1)
    episodes = subject.episodes()
    renamed = torch.roll(torch.arange(WAYS), 1)  # class c becomes renamed[c]
    original = algorithm.adapt(episodes.support, episodes.keys)
    permuted = algorithm.adapt(Examples(episodes.support.x, renamed[episodes.support.y]), episodes.keys)
    for mode in MODES:
        outputs = original.predict(episodes.query.x, mode)
        difference = distance(permuted.predict(episodes.query.x, mode)[..., renamed], outputs)
        ensure(difference < TOLERANCE, f"{mode}: outputs differ by {difference:.2g} beyond the permutation")


PROPERTIES = (
    Check(declarations, "Set gradient_order to 2, 1 or None, and trains_on to 'episodes' or 'examples'."),
    Check(
        gradient_order_is_correct,
        "Declare the order that compute_update uses. For 2, nothing in init, step or loss may be detached, and "
        "the update's loss is the loss that is minimized.",
    ),
    Check(
        engines_agree,
        "Write functions of one task's tensors without branches on their values or in-place changes, "
        "or declare vectorized = False.",
    ),
    Check(
        half_batches_add_up, "Return sums over tasks, not means. If tasks depend on each other, set additive = False."
    ),
    Check(
        permuted_classes_permute_outputs,
        "Initialize every class equally (a head of zeros), or set equivariant = False.",
    ),
)
