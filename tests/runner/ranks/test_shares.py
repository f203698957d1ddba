"""Work that is divided among ranks: all of it, none twice; the sum of the updates is that of a single process."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_ranks import TINY, experiment_of, in_ranks, updates

from mamlbench.api import Job
from mamlbench.errors import ConfigError, DivergedError
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import RunRequest
from mamlbench.runner.meter import Meter
from mamlbench.runner.plan import plan
from mamlbench.runner.ranks.rank_group import ALONE, Ranks
from mamlbench.runner.ranks.shares import map_over_ranks, refuse_unshardable, share_clocks

CLOSE = 1e-10
PLAIN = {"backbone": "mlp", "options": {"backbone.norm": False}}
NOT_ADDITIVE = [
    ("reptile", {"options": {"inner_optimizer_state": "persistent"}}),
    ("sharp-maml", {"options": {"outer_radius": 0.1}}),
]


class Played(Ranks):
    """One of several ranks whose answers are known."""

    def __init__(self, rank, count, answers):
        super().__init__(rank, count)
        object.__setattr__(self, "answers", answers)

    def gather(self, value):
        self.answers[self.rank] = value
        return self.answers


@pytest.fixture
def job(toy_plugin, folders, plugins):
    def job(name, **request):
        asked = {**TINY, "iterations": 3, **request}
        if asked["dataset"] == "toy" and "backbone" not in asked:
            asked["options"] = {"backbone.width": 4, **asked.get("options", {})}
        (spec,) = plan(RunRequest(algorithms=(name,), **asked), plugins)
        return Job(spec=spec, folders=folders, plugins=(toy_plugin,))

    return job


@given(st.integers(1, 9), st.integers(0, 40))
def test_parts_follow_each_other_and_differ_by_one_at_most(count, total):
    parts = [Ranks(rank, count).part_of(total) for rank in range(count)]
    assert [number for part in parts for number in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


class Thread(Ranks):
    """One of several ranks that are threads."""

    def __init__(self, rank, count, barrier, answers):
        super().__init__(rank, count)
        object.__setattr__(self, "barrier", barrier)
        object.__setattr__(self, "answers", answers)

    def gather(self, value):
        self.answers[self.rank] = value
        self.barrier.wait(60)
        return self.answers


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(0, 9))
def test_every_item_is_computed_once_and_stays_in_its_place(count, total):
    computed, barrier, answers = [], Barrier(count), [None] * count

    def work(rank):
        ranks = Thread(rank, count, barrier, answers)
        return map_over_ranks(ranks, lambda item: computed.append(item) or -item, range(total))

    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(work, range(count)))
    assert results == [[-item for item in range(total)]] * count
    assert sorted(computed) == list(range(total))


def test_the_error_of_the_first_item_is_raised_on_every_rank():
    def score(item):
        if item in (2, 5):
            raise DivergedError(f"item {item}")
        return item

    with pytest.raises(DivergedError, match="item 2"):
        map_over_ranks(Played(1, 2, [({}, {2: DivergedError("item 2")}), None]), score, range(6))


def test_a_meter_counts_the_seconds_of_the_other_ranks():
    meter, clock = Meter(torch.device("cpu"), lambda: 0.0, lambda: 3.0), {"train": 5.0, "data": 1.0}
    others = dict.fromkeys(("data", "train", "evaluate", "checkpoint", "other"), 0.0) | clock
    before = meter.elapsed().device
    share_clocks(ALONE, meter)
    assert meter.elapsed().device == before and meter.clocks(own_process=False, runs_at_once=1).ranks == 1
    share_clocks(Played(0, 3, [None, (others, 10), (others, 2**60)]), meter)
    clocks = meter.clocks(own_process=True, runs_at_once=1)
    assert clocks.ranks == 3 and clocks.peak_memory_bytes == 2**60
    assert clocks.segments["train"].device == meter.seconds_in("train").device == 10.0
    assert meter.elapsed().device == before + 12.0


@pytest.mark.parametrize("count", [2, 3])
def test_updates_of_two_and_three_ranks(job, tmp_path, start_method, count):
    assert_equal_updates(
        [job("maml"), job("maml", meta_batch_size=1), job("maml", train_ways="2..3", train_shots="1..2")],
        count,
        tmp_path,
        start_method,
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_updates_of_every_algorithm_that_can_be_divided(job, tmp_path, start_method, count):
    plugins = load_plugins()
    names = {entry.name: entry.load() for entry in plugins.registry.entries("algorithm")}
    jobs = [job(name, **_request(plugin)) for name, plugin in names.items() if not name.startswith("l2l-")]
    assert len(jobs) > 25
    assert_equal_updates(jobs, count, tmp_path, start_method)


def _request(plugin):
    if "classification" not in plugin.kinds:
        return {"dataset": "navigation", "ways": None, "queries": None}
    return PLAIN if plugin.trains_on == "examples" else {}


def assert_equal_updates(jobs, count, folder, method):
    for rank, job in enumerate(jobs):
        (folder / str(rank)).mkdir()
        (alone,) = updates([job])
        answers = in_ranks(count, folder / str(rank), method, updates, [job])
        for (answer,) in answers:
            for (sums, loss, number, examples), expected in zip(answer, alone, strict=True):
                name = job.spec.algorithm.name
                assert (number, examples) == expected[2:], name
                for tensor, single in [(loss, expected[1]), *((sums[key], expected[0][key]) for key in expected[0])]:
                    scale = max(1.0, float(single.abs().max()) if single.numel() else 0.0)
                    assert torch.allclose(tensor, single, rtol=0, atol=CLOSE * scale), name
        first = answers[0][0]
        for (other,) in answers[1:]:  # the same bits everywhere, so that the ranks never drift apart
            assert all(torch.equal(a[0][key], b[0][key]) for a, b in zip(first, other, strict=True) for key in a[0])


@pytest.mark.parametrize(("name", "request_"), [*NOT_ADDITIVE, ("pretrain", {})])
def test_methods_that_cannot_be_divided_are_refused(job, name, request_):
    experiment = experiment_of(job(name, **request_))
    refuse_unshardable(experiment)
    experiment.ranks = Ranks(0, 2)
    with pytest.raises(ConfigError, match=rf"'{name}' cannot be trained by several ranks: (with these|batch norm)"):
        refuse_unshardable(experiment)
