import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mamlbench.run_spec import MODES, Component, Protocol, RunSpec, Training

options = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    max_size=4,
)


def make_spec(**changes):
    values = {
        "algorithm": Component(name="maml", options={"inner_lr": 0.4, "steps": 5}),
        "dataset": Component(name="glyphs"),
        "backbone": Component(name="conv4-strided"),
        "sampler": Component(name="fresh"),
        "protocol": Protocol(),
        "training": Training(iterations=10, meta_batch_size=4, ways=5, shots=1, queries=1, validate_every=5),
        "preset": "quick",
    }
    return RunSpec(**{**values, **changes})


@given(options, st.integers(0, 2**31), st.sampled_from(MODES))
def test_a_spec_survives_json_with_its_hash(chosen, seed, mode):
    spec = make_spec(
        algorithm=Component(name="maml", options=chosen), seed=seed, protocol=Protocol(modes=(mode,), queries=3)
    )
    again = RunSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert again.hash == spec.hash
    assert RunSpec.model_validate_json(spec.canonical_json()).hash == spec.hash


def test_the_order_of_options_does_not_matter():
    one = make_spec(algorithm=Component(name="maml", options={"a": 1, "b": {"x": 1, "y": 2}}))
    other = make_spec(algorithm=Component(name="maml", options={"b": {"y": 2, "x": 1}, "a": 1}))
    assert one.hash == other.hash
    assert len(one.hash) == 64


VARIANTS = [
    {"seed": 1},
    {"preset": "paper"},
    {"device": "cuda"},
    {"engine": "loop"},
    {"precision": "bf16"},
    {"deterministic": True},
    {"tuning_trials": 20},
    {"mistake": "first order under another name"},
    {"init_sha256": 64 * "a"},
    {"weights_sha256": 64 * "a"},
    {"protocol": Protocol(least_ways=2)},
    {"protocol": Protocol(least_shots=1)},
    {"protocol": Protocol(imbalance=0.5)},
    {"training": make_spec().training.model_copy(update={"least_ways": 2})},
    {"training": make_spec().training.model_copy(update={"least_shots": 1})},
    {"algorithm": Component(name="maml")},
    {"dataset": Component(name="omniglot")},
    {"sampler": Component(name="fixed-pool")},
    {"backbone": Component(name="mlp")},
    {"protocol": Protocol(episode_seed=1)},
    {"protocol": Protocol(test_sampling="without-replacement")},
    {"protocol": Protocol(test_until=0.005)},
    {"protocol": Protocol(label_noise=0.2)},
    {"protocol": Protocol(corrupt="noise:0.3")},
    {"protocol": Protocol(corrupt="noise:0.2")},
    {"protocol": Protocol(modes=("inductive", "transductive"))},
    {"training": Training(iterations=10, meta_batch_size=4, ways=6, shots=1, queries=1, validate_every=5)},
    {"training": Training(iterations=11, meta_batch_size=4, ways=5, shots=1, queries=1, validate_every=5)},
    {"training": make_spec().training.model_copy(update={"on_divergence": "skip"})},
]


def test_a_spec_keeps_its_hash_when_a_release_adds_a_setting():
    content = json.loads(make_spec().canonical_json())
    assert (
        not {"deterministic", "tuning_trials", "mistake"} & content.keys()
        and "on_divergence" not in content["training"]
        and "test_until" not in content["protocol"]
    )
    assert make_spec().hash == "7b22558658f842330958c9f2850972ba838ff9013ab9e95551f6d214a039dfcc"


def test_everything_that_determines_a_run_is_in_its_hash():
    assert {name for change in VARIANTS for name in change} == set(RunSpec.model_fields) - {"init", "label"}
    hashes = [make_spec(**change).hash for change in [{}, *VARIANTS]]
    assert len(set(hashes)) == len(hashes)


def test_the_hash_is_the_same_in_another_process():
    text = make_spec().model_dump_json()
    code = f"from mamlbench.run_spec import RunSpec; print(RunSpec.model_validate_json({text!r}).hash)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == make_spec().hash


def test_specs_are_frozen_and_refuse_what_they_do_not_know():
    with pytest.raises(ValidationError, match="frozen"):
        make_spec().seed = 3
    with pytest.raises(ValidationError, match="Extra inputs"):
        make_spec(sede=3)


@pytest.mark.parametrize(
    "bad",
    [
        {"ways": 0},
        {"shots": 0},
        {"queries": 0},
        {"test_episodes": 1},
        {"episode_seed": -1},
        {"modes": ()},
        {"modes": ("eval",)},
        {"way": 5},
        {"label_noise": -0.1},
        {"label_noise": 1.1},
        {"label_noise": float("nan")},
        {"corrupt": "fog:1"},
    ],
    ids=str,
)
def test_an_impossible_protocol_is_refused(bad):
    with pytest.raises(ValidationError):
        Protocol(**bad)


def test_the_protocol_reports_both_modes_by_default():
    assert Protocol().modes == ("transductive", "inductive")
    assert MODES == ("transductive", "inductive", "support+query")


def test_fields_that_were_added_later_leave_the_hash_of_older_specs_alone():
    spec = make_spec()
    assert "test_until" not in spec.canonical_json() and "test_sampling" not in spec.canonical_json()
    assert "label_noise" not in spec.canonical_json() and "corrupt" not in spec.canonical_json()
    assert RunSpec.model_validate_json(spec.canonical_json()) == spec
    assert "init" not in json.loads(spec.canonical_json()) and "init_sha256" not in spec.canonical_json()
    changed = make_spec(protocol=Protocol(test_until=0.01))
    assert RunSpec.model_validate_json(changed.canonical_json()) == changed
