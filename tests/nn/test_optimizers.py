import math

import pytest
import torch
from pydantic import ValidationError

from mamlbench.api import OuterOptimizer, OuterOptions, scheduled


def start(seed=0):
    random = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(3, 2, generator=random), "features.0.b": torch.randn(4, generator=random)}


def gradients(count, scale=1.0):
    return [{name: scale * value for name, value in start(100 + number).items()} for number in range(count)]


def run(optimizer, steps):
    for gradient in steps:
        optimizer.step(gradient)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("name", "reference"), [("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)])
def test_steps_equal_those_of_torchs_optimizer(name, reference):
    parameters, expected = start(), [value.clone() for value in start().values()]
    optimizer = OuterOptimizer(parameters, OuterOptions(outer_optimizer=name, outer_lr=0.02), 10)
    torch_optimizer = reference(expected, lr=0.02)
    for gradient in gradients(5):
        optimizer.step(gradient)
        for value, part in zip(expected, gradient.values(), strict=True):
            value.grad = part
        torch_optimizer.step()
    assert all(map(torch.equal, parameters.values(), expected))


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"outer_optimizer": "sgd", "outer_momentum": 0.9}, lambda p: torch.optim.SGD(p, 0.02, 0.9, nesterov=True)),
        ({"outer_optimizer": "sgd", "outer_weight_decay": 0.1}, lambda p: torch.optim.SGD(p, 0.02, weight_decay=0.1)),
        ({"outer_weight_decay": 0.1}, lambda p: torch.optim.Adam(p, 0.02, weight_decay=0.1)),
    ],
)
def test_momentum_and_weight_decay_are_torchs(options, reference):
    parameters, expected = start(), [value.clone() for value in start().values()]
    optimizer, torch_optimizer = (
        OuterOptimizer(parameters, OuterOptions(outer_lr=0.02, **options), 10),
        reference(expected),
    )
    for gradient in gradients(5):
        optimizer.step(gradient)
        for value, part in zip(expected, gradient.values(), strict=True):
            value.grad = part
        torch_optimizer.step()
    assert all(map(torch.equal, parameters.values(), expected))
    plain = start()
    run(
        OuterOptimizer(plain, OuterOptions(outer_lr=0.02, outer_optimizer=optimizer.options.outer_optimizer), 10),
        gradients(5),
    )
    assert not equal(plain, parameters)


def test_momentum_is_restored_bit_for_bit():
    options = OuterOptions(outer_optimizer="sgd", outer_lr=0.1, outer_momentum=0.9, outer_weight_decay=0.01)
    expected, resumed_from = start(), start()
    run(OuterOptimizer(expected, options, 6), gradients(6))
    first = OuterOptimizer(resumed_from, options, 6)
    run(first, gradients(6)[:3])
    resumed = OuterOptimizer(resumed_from, options, 6)
    resumed.load_state({key: value.clone() for key, value in first.state().items()})
    run(resumed, gradients(6)[3:])
    assert equal(resumed_from, expected)


def test_momentum_of_adam_is_refused():
    with pytest.raises(ValidationError, match="outer_momentum is of outer_optimizer=sgd"):
        OuterOptions(outer_momentum=0.9)


def test_options_that_are_not_used_leave_a_runs_settings_as_those_of_older_records():
    later = {"outer_momentum", "outer_weight_decay"}
    assert not later & set(OuterOptions().model_dump())
    used = OuterOptions(outer_optimizer="sgd", outer_momentum=0.9, outer_weight_decay=0.1)
    assert later <= set(used.model_dump()) and OuterOptions.model_validate(used.model_dump()) == used


@pytest.mark.parametrize("name", ["adam", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_restored_optimizer_continues_bit_for_bit(name, schedule):
    options = OuterOptions(outer_optimizer=name, outer_schedule=schedule, outer_lr=0.1)
    expected, resumed_from = start(), start()
    uninterrupted = OuterOptimizer(expected, options, 8)
    run(uninterrupted, gradients(8))

    first = OuterOptimizer(resumed_from, options, 8)
    run(first, gradients(8)[:4])
    saved = {key: value.clone() for key, value in first.state().items()}
    resumed = OuterOptimizer(resumed_from, options, 8)
    resumed.load_state(saved)
    run(resumed, gradients(8)[4:])
    assert equal(resumed_from, expected)
    assert equal(resumed.state(), uninterrupted.state())


def test_the_rate_is_halved_again_and_again_on_top_of_its_schedule():
    ones = {name: torch.ones_like(value) for name, value in start().items()}
    for schedule in ("constant", "linear"):
        parameters = start()
        options = OuterOptions(outer_optimizer="sgd", outer_lr=0.4, outer_schedule=schedule, halve_every=2)
        optimizer, steps = OuterOptimizer(parameters, options, 5), []
        for _ in range(5):
            before = parameters["a"].clone()
            optimizer.step(ones)
            steps.append(float((before - parameters["a"]).mean()))
        falling = [scheduled(schedule, done, 5) for done in range(5)]
        expected = [0.4 * factor * half for factor, half in zip(falling, (1, 1, 0.5, 0.5, 0.25), strict=True)]
        assert steps == pytest.approx(expected, rel=1e-5)


def test_loading_copies_and_replaces_the_state():
    options = OuterOptions(outer_lr=0.1)
    optimizer = OuterOptimizer(start(), options, 8)
    run(optimizer, gradients(2))
    saved = {key: value.clone() for key, value in optimizer.state().items()}
    expected = {key: value.clone() for key, value in saved.items()}
    run(optimizer, gradients(3))
    optimizer.load_state(saved)
    assert equal(optimizer.state(), expected)
    run(optimizer, gradients(1))
    assert equal(saved, expected), "further steps must not write into the saved tensors"
    optimizer.load_state({"done": torch.tensor(0)})
    assert equal(optimizer.state(), {"done": torch.tensor(0)})


def test_clipping_is_elementwise():
    parameters = {"a": torch.zeros(2, 2)}
    optimizer = OuterOptimizer(parameters, OuterOptions(outer_optimizer="sgd", outer_lr=1, clip=0.5), 3)
    optimizer.step({"a": torch.tensor([[0.2, -0.4], [7.0, -9.0]])})
    torch.testing.assert_close(parameters["a"], torch.tensor([[-0.2, 0.4], [-0.5, 0.5]]))


def test_the_gradient_is_not_changed_in_place():
    (gradient,) = gradients(1, scale=3)
    before = {name: value.clone() for name, value in gradient.items()}
    run(OuterOptimizer(start(), OuterOptions(clip=0.1), 3), [gradient])
    assert equal(gradient, before)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_schedules_start_at_one_and_fall_to_zero_unless_constant(schedule):
    factors = [scheduled(schedule, done, 10) for done in range(11)]
    assert factors[0] == 1
    if schedule == "constant":
        assert set(factors) == {1.0}
    else:
        assert factors[-1] == pytest.approx(0, abs=1e-15)
        assert factors[5] == pytest.approx(0.5)
        assert factors == sorted(factors, reverse=True)
    assert scheduled(schedule, 0, 0) == 1, "a run without iterations divides by nothing"


def test_cosine_is_a_half_wave():
    assert scheduled("cosine", 1, 4) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_the_schedule_drives_the_rate():
    parameters = {"a": torch.zeros(1)}
    optimizer = OuterOptimizer(
        parameters, OuterOptions(outer_optimizer="sgd", outer_lr=1, outer_schedule="linear"), iterations=4
    )
    path = []
    for _ in range(4):
        optimizer.step({"a": torch.tensor([-1.0])})
        path.append(parameters["a"].item())
    assert path == [1.0, 1.75, 2.25, 2.5]


@pytest.mark.parametrize("bad", [{"outer_lr": 0}, {"clip": -1}, {"outer_optimizer": "lion"}, {"lr": 1}])
def test_options_are_checked(bad):
    with pytest.raises(ValidationError):
        OuterOptions(**bad)
