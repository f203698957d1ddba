"""Pytrees in a file come back bit for bit, with their types; what cannot be stored is refused by its place."""

import dataclasses
import json
import math
import random
from collections import OrderedDict, defaultdict, deque
from enum import Enum
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from mamlbench.api import Parameters
from mamlbench.errors import ConfigError
from mamlbench.runner.tree_file import DamagedFileError, dump_tree, load_tree


class Pair(NamedTuple):
    first: object
    second: object = None


@dataclasses.dataclass(frozen=True)
class Moments:
    mean: object
    steps: object = 0


@dataclasses.dataclass
class Loud:
    """Its constructor must not be called by a file."""

    value: int

    def __post_init__(self):
        if self.value < 0:
            raise RuntimeError("called")


def bits(value):
    """Everything that must come back, types included."""
    if isinstance(value, torch.Tensor):
        plain = torch.view_as_real(value.detach()) if value.is_complex() else value.detach()
        return ("tensor", value.dtype, tuple(value.shape), plain.contiguous().flatten().view(torch.uint8).tolist())
    if isinstance(value, np.ndarray | np.generic):
        return (type(value), value.dtype, value.shape, value.tobytes())
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    if dataclasses.is_dataclass(value):
        return (type(value), [(f.name, bits(getattr(value, f.name))) for f in dataclasses.fields(value)])
    if isinstance(value, dict):
        return (type(value), [(bits(key), bits(part)) for key, part in value.items()])
    if isinstance(value, list | tuple | deque):
        return (type(value), [bits(part) for part in value])
    return (type(value), value)


DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.uint8, torch.complex64]
tensors = st.builds(
    lambda dtype, shape, seed: (
        torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 100
    ).to(dtype),
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 2**32),
)
ARRAYS = ["<f4", ">f8", "<u4", "|b1", "<c16", "<i2"]
arrays = st.builds(
    lambda dtype, shape: np.arange(math.prod(shape)).reshape(shape).astype(dtype),
    st.sampled_from(ARRAYS),
    st.lists(st.integers(0, 3), max_size=3),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(max_size=20),
    tensors,
    arrays,
    arrays.map(lambda array: array.sum()),
)
keys = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none())


def containers(parts):
    return st.one_of(
        st.lists(parts, max_size=3),
        st.lists(parts, max_size=3).map(tuple),
        st.builds(deque, st.lists(parts, max_size=3), st.sampled_from([None, 5])),
        st.dictionaries(keys, parts, max_size=3),
        st.dictionaries(keys, parts, max_size=3).map(OrderedDict),
        st.builds(Pair, parts, parts),
        st.builds(Moments, parts, parts),
    )


@given(st.recursive(leaves, containers, max_leaves=12))
def test_every_pytree_comes_back_bit_for_bit(tree):
    assert bits(load_tree(dump_tree(tree))) == bits(tree)


@given(st.dictionaries(st.text(), tensors, max_size=4))
def test_named_tensors_come_back_and_keep_their_type(named):
    restored = load_tree(dump_tree(Parameters(named)))
    assert type(restored) is Parameters and bits(restored) == bits(Parameters(named))


def test_tensors_of_a_flat_dictionary_have_its_names_for_other_readers():
    content = dump_tree({"meta/weight": torch.arange(3.0), "done": torch.tensor(7)})
    assert {name: value.tolist() for name, value in load(content).items()} == {"meta/weight": [0, 1, 2], "done": 7}


@pytest.mark.parametrize("power", [0, 62, 63, 64, 20_000])
def test_integers_have_any_size(power):
    assert load_tree(dump_tree([2**power, -(2**power)])) == [2**power, -(2**power)]


def test_special_numbers_and_names():
    tree = {"__metadata__": torch.ones(1), "a/b": torch.zeros(1), "a": {"b": torch.ones(2)}, "\ud800": -0.0}
    restored = load_tree(dump_tree(tree))
    assert bits(restored) == bits(tree) and math.copysign(1, restored["\ud800"]) == -1
    weird = torch.tensor([float("nan"), float("inf"), -0.0, 5e-324], dtype=torch.float64)
    assert bits(load_tree(dump_tree(weird))) == bits(weird)


def test_shared_tensors_stay_shared_and_views_come_apart():
    base = torch.arange(4.0)
    restored = load_tree(dump_tree({"a": base, "same": base, "view": base[1:], "t": base.view(2, 2).T}))
    assert restored["a"] is restored["same"]
    restored["a"].zero_()
    assert restored["view"].tolist() == [1, 2, 3] and restored["t"].tolist() == [[0, 2], [1, 3]]


def test_the_states_of_the_global_generators_are_trees():
    states = [torch.get_rng_state(), np.random.get_state(), random.getstate()]
    assert bits(load_tree(dump_tree(states))) == bits(states)


def test_of_another_file_the_tensors_are_read():
    assert bits(load_tree(save({"w": torch.ones(2)}, {"iteration": "3"}))) == bits({"w": torch.ones(2)})


class Color(Enum):
    RED = 1


def cyclic():
    one = [1]
    one.append(one)
    return one


@dataclasses.dataclass
class Local:
    value: int


Local.__qualname__ = "Elsewhere"


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda x: x, "it is a function"),
        (Color.RED, "Color"),
        ({1, 2}, "it is a set"),
        (defaultdict(list), "collections.defaultdict"),
        (torch.ones(2).to_sparse(), "layout torch.sparse_coo"),
        (torch.empty(2, device="meta"), "device meta"),
        (np.array([object()]), "type object"),
        (torch.nn.Linear(1, 1), "Linear"),
        (torch.Generator(), "Generator"),
        (cyclic(), "contains itself"),
        (Local(1), "not found under its name"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_its_place(value, what):
    with pytest.raises(ConfigError, match=r"'outer/1/x(/1)?' cannot be stored in a checkpoint") as error:
        dump_tree({"outer": [0, {"x": value}]})
    assert what in str(error.value)


def edited(tree, change):
    """A file whose structure was changed by hand."""
    content = dump_tree(tree)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["tree"] = json.dumps(change(json.loads(header["__metadata__"]["tree"])))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


@pytest.mark.parametrize(
    "node",
    [
        {"class": "os:system", "fields": {"command": "true"}},
        {"class": "builtins:dict", "fields": {}},
        {"class": "not_imported:Thing", "fields": {"a": 1}},
        {"class": f"{__name__}:Pair", "fields": {"first": 1}},
        {"array": "absent", "dtype": "<f4", "shape": [1]},
        {"array": "x", "dtype": "O", "shape": [1]},
        {"tensor": "absent"},
        {"reduce": ["os.system", "true"]},
        {"_class__": "x"},
        {"float": "one"},
        {},
    ],
)
def test_a_structure_that_asks_for_anything_else_is_damaged(node):
    with pytest.raises(DamagedFileError):
        load_tree(edited({"x": torch.ones(1)}, lambda _: node))


def test_a_file_calls_no_constructor():
    content = edited(Loud(1), lambda node: {**node, "fields": {"value": -1}})
    assert load_tree(content).value == -1


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_damaged(content):
    with pytest.raises(DamagedFileError):
        load_tree(content)
