from collections import Counter

import pytest
from pydantic import ValidationError

from mamlbench.plugin import load_plugins


def make(name, tasks=None, training_seed=0):
    from mamlbench_plugins.samplers import fixed_pool, fresh

    if name == "fresh":
        sampler_class, options = fresh.Fresh, fresh.Fresh.Options()
    else:
        sampler_class, options = fixed_pool.FixedPool, fixed_pool.FixedPool.Options(tasks=tasks)
    splits = {"train": None, "val": None, "test": None}
    return sampler_class(splits, 5, episode_seed=0, training_seed=training_seed, options=options)


def test_both_samplers_are_registered():
    registry = load_plugins().registry
    assert {"fresh", "fixed-pool"} <= set(registry.names("sampler"))
    assert registry.load("sampler", "fixed-pool").__name__ == "FixedPool"


@pytest.mark.parametrize("tasks", [1, 7, 100])
def test_each_round_visits_every_task_once_and_in_a_new_order(tasks):
    sampler = make("fixed-pool", tasks)
    rounds = [sampler.keys("train", number * tasks, tasks).tolist() for number in range(4)]
    assert len(set(rounds[0])) == tasks
    assert all(Counter(keys) == Counter(rounds[0]) for keys in rounds)
    if tasks == 100:
        assert len({tuple(keys) for keys in rounds}) == 4


def test_the_pool_is_the_first_tasks_of_the_fresh_sampler():
    assert set(make("fixed-pool", 30).keys("train", 0, 30).tolist()) == set(make("fresh").keys("train", 0, 30).tolist())


def test_a_batch_may_span_two_rounds_and_does_not_depend_on_the_division():
    sampler = make("fixed-pool", 7)
    whole = sampler.keys("train", 0, 30).tolist()
    assert whole == [key for first in range(0, 30, 5) for key in sampler.keys("train", first, 5).tolist()]
    assert len(set(whole)) == 7


def test_another_training_seed_has_another_pool():
    one, other = (set(make("fixed-pool", 20, seed).keys("train", 0, 20).tolist()) for seed in (0, 1))
    assert not one & other


@pytest.mark.parametrize("split", ["val", "test"])
def test_validation_and_test_tasks_are_fresh(split):
    assert make("fixed-pool", 3).keys(split, 0, 50).tolist() == make("fresh").keys(split, 0, 50).tolist()


def test_options_are_checked():
    from mamlbench_plugins.samplers.fixed_pool import FixedPool

    with pytest.raises(ValidationError):
        FixedPool.Options(tasks=0)
    with pytest.raises(ValidationError):
        FixedPool.Options(task=10)
