"""The hash of a spec: equal for equal specs however they are written, and another one for whatever changes numbers."""

import json
import os
import random
import subprocess
import sys
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mamlbench.run_spec import MODES, PRECISIONS, Component, Protocol, RunSpec, TestSampling, Training

NOT_HASHED = {"training.checkpoint_seconds", "init", "label"}
"""Fields that change no number of a run; the documentation of each says so."""

MANY = st.integers(2, 2**31 - 1)
NAMES = st.text(min_size=1, max_size=6)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
COMPONENTS = st.builds(Component, name=NAMES, options=st.dictionaries(NAMES, VALUES, max_size=4))
PROTOCOLS = st.builds(
    Protocol,
    ways=MANY,
    shots=MANY,
    queries=MANY,
    test_episodes=MANY,
    validation_episodes=MANY,
    episode_seed=st.integers(0, 2**63 - 1),
    modes=st.lists(st.sampled_from(MODES), min_size=1, max_size=3, unique=True).map(tuple),
    metrics=st.lists(NAMES, max_size=2).map(tuple),
    keep_predictions=st.booleans(),
    test_sampling=st.sampled_from(get_args(TestSampling)),
    test_until=st.none() | st.floats(1e-6, 1),
    label_noise=st.floats(0, 1),
    least_ways=st.none() | MANY,
    least_shots=st.none() | MANY,
    imbalance=st.floats(0, 1, exclude_max=True),
    corrupt=st.sampled_from(["none", "noise:0.3", "blur:1.5", "contrast:0.5"]),
)
TRAININGS = st.builds(
    Training,
    **dict.fromkeys(("iterations", "meta_batch_size", "ways", "shots", "queries", "validate_every", "log_every"), MANY),
    checkpoint_every=MANY,
    checkpoint_seconds=st.none() | st.floats(0, 1000),
    target_score=st.none() | st.floats(-1, 1),
    on_divergence=st.sampled_from(["stop", "skip"]),
    allow_leak=st.booleans(),
    least_ways=st.none() | MANY,
    least_shots=st.none() | MANY,
)
SPECS = st.builds(
    RunSpec,
    algorithm=COMPONENTS,
    dataset=COMPONENTS,
    backbone=COMPONENTS,
    sampler=COMPONENTS,
    protocol=PROTOCOLS,
    training=TRAININGS,
    preset=NAMES,
    seed=st.integers(0, 2**63 - 1),
    device=st.sampled_from(["cpu", "cuda", "cuda:1"]),
    engine=st.sampled_from(["auto", "loop", "vmap"]),
    precision=st.sampled_from(PRECISIONS),
    deterministic=st.booleans(),
    tuning_trials=st.none() | MANY,
    mistake=st.text(max_size=20),
    init_sha256=st.sampled_from(["", 64 * "a"]),
    weights_sha256=st.sampled_from(["", 64 * "b"]),
    init=st.text(max_size=20),
)


def shuffled(value, generator):
    """The same document with its keys in another order."""
    if isinstance(value, dict):
        items = [(key, shuffled(inner, generator)) for key, inner in value.items()]
        generator.shuffle(items)
        return dict(items)
    return [shuffled(inner, generator) for inner in value] if isinstance(value, list) else value


@given(SPECS, st.integers(0, 2**32))
def test_the_order_of_keys_does_not_matter(spec, seed):
    text = json.dumps(shuffled(spec.model_dump(mode="json"), random.Random(seed)), ensure_ascii=bool(seed % 2))
    again = RunSpec.model_validate_json(text)
    assert again == spec and again.hash == spec.hash
    assert RunSpec.model_validate_json(spec.canonical_json()).hash == spec.hash


def fields(model, path=""):
    """Every single value of a spec: its path, and the field."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


FIELDS = dict(fields(RunSpec))


def another(value, kinds):
    """Another valid value of a field with these types or words."""
    if words := [kind for kind in kinds if isinstance(kind, str)]:
        return next(word for word in words if word != value)
    match value:
        case None if int in kinds:
            return 2
        case bool():
            return not value
        case int():
            return value - 1 if value > 9 else value + 1
        case None | float():
            return (value or 0.0) / 2 + 0.125
        case str():
            return value + "x"
        case dict():
            return {**value, "one more": 1}
        case list():
            return (
                value[1:] if len(value) > 1 else [*value, "support+query" if "support+query" not in value else MODES[0]]
            )
    raise AssertionError(value)


def changed(spec, path):
    content = spec.model_dump(mode="json")
    *outer, name = path.split(".")
    part = content
    for key in outer:
        part = part[key]
    words = ("none", "noise:0.3") if name == "corrupt" else ()
    part[name] = another(part[name], get_args(FIELDS[path].annotation) or words)
    return RunSpec.model_validate_json(json.dumps(content))


@pytest.mark.parametrize("path", FIELDS)
@settings(max_examples=6)
@given(spec=SPECS)
def test_each_field_changes_the_hash_unless_it_is_stated_to_change_no_number(path, spec):
    other = changed(spec, path)
    assert other != spec
    assert (other.hash == spec.hash) == (path in NOT_HASHED)


def test_every_field_is_tried_and_the_documentation_names_those_that_are_not_hashed():
    assert len(FIELDS) == 50 and set(FIELDS) > NOT_HASHED
    described = {path for path, field in FIELDS.items() if "no part of the spec's hash" in (field.description or "")}
    assert described == NOT_HASHED


@given(COMPONENTS, COMPONENTS)
def test_options_that_differ_in_anything_have_another_hash(one, other):
    """Equal is what JSON calls equal: 1, 1.0 and true are three values."""
    specs = [
        RunSpec(
            algorithm=component,
            dataset=Component(name="glyphs"),
            backbone=Component(name="conv4"),
            sampler=Component(name="fresh"),
            protocol=Protocol(),
            training=Training(iterations=1, meta_batch_size=1, ways=5, shots=1, queries=1, validate_every=1),
            preset="quick",
        )
        for component in (one, other)
    ]
    same = json.dumps(one.model_dump(), sort_keys=True) == json.dumps(other.model_dump(), sort_keys=True)
    assert (specs[0].hash == specs[1].hash) == same


CODE = """
import sys
from mamlbench.run_spec import RunSpec
for line in sys.stdin.buffer:
    print(RunSpec.model_validate_json(line).hash)
"""


@pytest.mark.parametrize("hash_seed", ["0", "1", "4294967295"])
def test_the_hash_does_not_depend_on_the_process_or_its_locale(hash_seed):
    specs = []

    @settings(max_examples=12)
    @given(SPECS)
    def collect(spec):
        specs.append(spec)

    collect()
    lines = "\n".join(spec.model_dump_json() for spec in specs)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-P", "-c", CODE]
    done = subprocess.run(command, input=lines.encode(), capture_output=True, env=environment, check=True)
    assert done.stdout.decode().split() == [spec.hash for spec in specs]
    assert len({spec.hash for spec in specs}) > 8
