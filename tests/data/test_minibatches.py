import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.api import Examples, gather, hash64, minibatch_order, seed_key


def task_keys(count, name="minibatches"):
    return torch.from_numpy(hash64(seed_key(name), np.arange(count)).view(np.int64))


def sequence(keys, examples, size, steps):
    """The first ``steps`` minibatches in a row, as one list per task."""
    return torch.cat([minibatch_order(keys, examples, size, step) for step in range(steps)], 1).tolist()


@given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**63 - 1))
def test_every_epoch_is_a_permutation(examples, size, key):
    steps = -(-3 * examples // size)
    (order,) = sequence(torch.tensor([key]), examples, size, steps)
    for epoch in range(3):
        assert sorted(order[epoch * examples : (epoch + 1) * examples]) == list(range(examples))


def test_epochs_and_tasks_are_shuffled_apart():
    orders = sequence(task_keys(3), 10, 5, 4)
    epochs = {tuple(order[start : start + 10]) for order in orders for start in (0, 10)}
    assert len(epochs) == 6


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 5))
def test_the_order_depends_on_the_key_and_the_step_alone(rows, step):
    keys = task_keys(4)
    whole = minibatch_order(keys, 7, 3, step)
    assert torch.equal(minibatch_order(keys[rows], 7, 3, step), whole[rows])


def test_the_division_into_minibatches_does_not_change_the_order():
    keys = task_keys(5)
    assert sequence(keys, 6, 2, 6) == sequence(keys, 6, 4, 3) == sequence(keys, 6, 12, 1)


@pytest.mark.parametrize("target", ["labels", "values"])
def test_gather_returns_inputs_with_their_targets(target):
    x = torch.arange(2 * 5 * 3.0).view(2, 5, 3)
    y = torch.arange(10).view(2, 5) if target == "labels" else torch.arange(20.0).view(2, 5, 2)
    order = torch.tensor([[4, 0], [1, 1]])
    taken = gather(Examples(x, y), order)
    for task in range(2):
        for position in range(2):
            assert torch.equal(taken.x[task, position], x[task, order[task, position]])
            assert torch.equal(taken.y[task, position], y[task, order[task, position]])
