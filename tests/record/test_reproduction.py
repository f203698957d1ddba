"""Reproductions as data: readings, merged settings, and which runs are of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mamlbench.record import PublishedNumber
from mamlbench.record.reproduction import PlannedReproduction, Reproduction, ReproductionGroup, iterations_at
from mamlbench.run_spec import Component, Protocol, RunSpec, Training

FIELDS = {"name": "a2017/omniglot-5w1s", "number": "a2017/omniglot-5w1s-maml", "margin": 1.0}
VARIANT = {"name": "mean", "about": "the mean", "meta_batch_size": 2, "options": {"inner_lr": 2.0, "clip": 1.0}}
SPEC = RunSpec(
    algorithm=Component(name="maml", options={"inner_lr": 0.4, "halve_every": 100}),
    dataset=Component(name="omniglot"),
    backbone=Component(name="mlp"),
    sampler=Component(name="fresh"),
    protocol=Protocol(),
    training=Training(iterations=1000, meta_batch_size=4, ways=5, shots=1, queries=1, validate_every=1000),
    preset="paper",
)


def planned(**fields):
    number = PublishedNumber(
        id=FIELDS["number"], algorithm="maml", dataset="omniglot", ways=5, shots=1, score=98.7, source="a"
    )
    return PlannedReproduction(Reproduction(**{**FIELDS, **fields}), number, None, SPEC, (SPEC,), 1.0, "transductive")


def test_settings_of_a_variant_replace_those_of_the_reproduction():
    reproduction = Reproduction(
        **FIELDS, reading="sum", options={"inner_lr": 0.4, "loss": "sum"}, queries=1, variants=[VARIANT]
    )
    assert reproduction.readings == ["sum", "mean"]
    assert reproduction.settings(reproduction.variant("sum")) == {
        "preset": "paper",
        "queries": 1,
        "options": {"inner_lr": 0.4, "loss": "sum"},
    }
    assert reproduction.settings(reproduction.variant("mean")) == {
        "preset": "paper",
        "queries": 1,
        "meta_batch_size": 2,
        "options": {"inner_lr": 2.0, "loss": "sum", "clip": 1.0},
    }
    with pytest.raises(KeyError):
        reproduction.variant("sums")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variants": [VARIANT]}, "must name the reading"),
        ({"variants": [VARIANT], "reading": "mean"}, "the same name"),
        ({"margin": 0}, "greater than 0"),
        ({"name": "without a source"}, "name"),
        ({"iteration": 3}, "iteration"),
    ],
)
def test_what_is_no_reproduction_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Reproduction(**{**FIELDS, **fields})


def test_a_group_shares_fields_and_merges_options_and_differences():
    group = ReproductionGroup(
        margin=1.0,
        options={"a": 1, "b": 1},
        differences=["first"],
        reproduces=[{"name": "x", "options": {"b": 2}, "differences": ["second"]}, {"name": "y", "margin": 2.0}],
    )
    assert group.entries() == [
        {"name": "x", "margin": 1.0, "options": {"a": 1, "b": 2}, "differences": ["first", "second"]},
        {"name": "y", "margin": 2.0, "options": {"a": 1, "b": 1}, "differences": ["first"]},
    ]


def changed(part, **update):
    return SPEC.model_copy(update={part: getattr(SPEC, part).model_copy(update=update)})


@pytest.mark.parametrize(
    ("spec", "is_of"),
    [
        (SPEC.model_copy(update={"seed": 3, "device": "cuda", "engine": "loop"}), True),
        (changed("training", iterations=50, validate_every=50), True),
        (changed("protocol", test_episodes=2000, episode_seed=1), True),
        (changed("algorithm", options={"inner_lr": 0.4, "halve_every": 5}), True),
        (changed("algorithm", options={"inner_lr": 0.3, "halve_every": 100}), False),
        (changed("training", meta_batch_size=8), False),
        (changed("protocol", queries=15), False),
        (changed("dataset", name="glyphs"), False),
    ],
)
def test_a_run_is_of_a_reproduction_whatever_its_seed_device_and_length(spec, is_of):
    assert planned(per_iteration=["halve_every"]).is_of(spec) is is_of


@given(st.floats(0, 1, exclude_min=True), st.integers(1, 10**6))
def test_a_fraction_of_the_iterations_is_at_least_one_and_at_most_all(scale, iterations):
    scaled = iterations_at(scale, iterations)
    assert 1 <= scaled <= iterations and abs(scaled - scale * iterations) <= max(0.5, 1 - scale * iterations)
