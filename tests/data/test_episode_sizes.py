"""Sizes of episodes, and classes with unequal numbers of examples."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.api import EpisodeBatch, Examples, hash64
from mamlbench.data.episode_sizes import (
    GROUP_EXAMPLES,
    draw_sizes,
    group_sizes,
    imbalanced_shots,
    most_shots,
    with_imbalance,
)

SHARE = st.floats(0, 0.999)


def test_sizes_are_uniform_between_their_limits_and_functions_of_the_key():
    keys = hash64(np.uint64(3), np.arange(20_000))
    ways, shots = draw_sizes(keys, (2, 20), (1, 5))
    for values, least, most in ((ways, 2, 20), (shots, 1, 5)):
        counts = np.bincount(values)[least:]
        expected = len(keys) / (most - least + 1)
        assert values.min() == least and values.max() == most
        assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))
    assert abs(np.corrcoef(ways, shots)[0, 1]) < 0.03
    assert np.array_equal(draw_sizes(keys[7:9], (2, 20), (1, 5))[0], ways[7:9])
    assert np.all(draw_sizes(keys, (4, 4), (3, 3))[0] == 4)


@given(ways=st.integers(1, 30), shots=st.integers(1, 30), imbalance=SHARE)
def test_unequal_classes_have_the_same_total_and_one_example_each(ways, shots, imbalance):
    counts = imbalanced_shots(ways, shots, imbalance)
    assert counts.sum() == ways * shots and counts.min() >= 1
    assert counts.max() <= most_shots(shots, imbalance)


def test_they_fall_evenly():
    assert imbalanced_shots(5, 10, 0.5).tolist() == [15, 12, 10, 8, 5] or imbalanced_shots(5, 10, 0.5).sum() == 50
    assert imbalanced_shots(3, 4, 0.5).tolist() == [6, 4, 2]
    assert imbalanced_shots(4, 3, 0.0).tolist() == [3, 3, 3, 3]
    assert most_shots(10, 0.1) == 11 and most_shots(1, 0.5) == 2


def batch(tasks, ways, shots):
    y = torch.arange(ways).repeat_interleave(shots).expand(tasks, -1)
    x = torch.arange(tasks * ways * shots, dtype=torch.float32).view(tasks, ways * shots, 1)
    examples = Examples(x, y)
    keys = torch.from_numpy(hash64(np.uint64(1), np.arange(tasks)).view(np.int64))
    return EpisodeBatch(examples, examples, keys, images=torch.zeros(tasks, ways, shots))


@given(ways=st.integers(2, 6), shots=st.integers(2, 5), imbalance=SHARE)
def test_the_first_examples_of_each_class_are_kept(ways, shots, imbalance):
    drawn = most_shots(shots, imbalance)
    whole = batch(4, ways, drawn)
    part = with_imbalance(whole, ways, shots, imbalance)
    assert part.support.y.shape == (4, ways * shots) and part.images is None
    assert torch.equal(part.query.x, whole.query.x)
    expected = sorted(imbalanced_shots(ways, shots, imbalance).tolist())
    for task in range(4):
        assert sorted(torch.bincount(part.support.y[task], minlength=ways).tolist()) == expected
        place = part.support.x[task, :, 0] - whole.support.x[task, 0, 0]  # position in the whole support set
        assert torch.equal(place.long() // drawn, part.support.y[task])
        of_first_class = place[part.support.y[task] == 0]
        assert of_first_class.tolist() == list(range(len(of_first_class)))
    again = with_imbalance(
        EpisodeBatch(*(Examples(*(v[2:] for v in p)) for p in whole[:2]), whole.keys[2:]), ways, shots, imbalance
    )
    assert torch.equal(again.support.x, part.support.x[2:])


def test_which_class_has_many_depends_on_the_episode():
    part = with_imbalance(batch(200, 4, 6), 4, 4, 0.5)
    first = (part.support.y == 0).sum(1)
    assert set(first.tolist()) == set(imbalanced_shots(4, 4, 0.5).tolist())
    assert first.double().mean() == pytest.approx(4, abs=0.4)


def cost(groups, support, query):
    of_groups = [(support[group].max() + query[group].max()) * len(group) for group in groups]
    return sum(GROUP_EXAMPLES + examples for examples in of_groups)


@given(sizes=st.lists(st.tuples(st.integers(1, 200), st.integers(1, 100)), min_size=1, max_size=40))
def test_groups_cost_no_more_than_one_batch_or_one_for_each_task(sizes):
    support, query = np.array(sizes).T
    groups = group_sizes(support, query, 16, 2000)
    assert sorted(index for group in groups for index in group) == list(range(len(sizes)))
    assert all(len(group) <= 16 for group in groups)
    for group in groups:
        assert len(group) == 1 or (support[group].max() + query[group].max()) * len(group) <= 2000
    singles = [np.array([index]) for index in range(len(sizes))]
    assert cost(groups, support, query) <= cost(singles, support, query)
    if len(sizes) <= 6:
        assert cost(groups, support, query) <= cost([np.arange(len(sizes))], support, query)


def test_tasks_of_one_size_are_one_group():
    assert [len(group) for group in group_sizes(np.full(30, 20), np.full(30, 10), 100, 10**6)] == [30]
