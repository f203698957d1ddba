"""The choice of an engine: candidates are checked, timed if the training is long, and dropped with a reason."""

import pytest
import torch

from mamlbench.engine import MAX_EXAMPLE_BYTES, AutotuneCache, choose_engine, no_trial
from mamlbench.engine.autotune import COMPILING_SECONDS
from mamlbench.errors import ConfigError


class Work:
    """A workload with invented engines: ``slow`` seconds per batch, ``wrong`` relative errors.

    Only computed batches advance ``clock``.
    """

    tasks = 8
    task_bytes = 0
    vectorizes = True
    differentiates = True
    trains = True
    precision = "float32"

    def __init__(self, iterations=20_000, *, slow=None, wrong=None, rounds_badly=None, raises=None, no_double=False):
        self.iterations, self.now = iterations, 0.0
        self.slow, self.wrong, self.raises = slow or {}, wrong or {}, raises or {}
        self.rounds_badly = rounds_badly or {}
        self.no_double = no_double
        self.too_large, self.kink, self.nudges = (), 0.0, []
        self.checked, self.timed = [], []

    def outcome(self, engine, *, precision, nudge=0):
        double = precision == "float64"
        if engine.name in self.raises:
            raise self.raises[engine.name]
        if double and self.no_double:
            raise RuntimeError("expected float32")
        self.checked.append((engine.name, double))
        truth = torch.linspace(1, 2, 10, dtype=torch.float64)
        error = self.wrong.get(engine.name, 0.0)
        if not double:
            error += self.rounds_badly.get(engine.name, 1e-7)
        if nudge:
            self.nudges.append(nudge)
            error += self.kink if nudge == 2 else 1e-7
        return truth * (1 + error)

    def batch(self, engine):
        def compute():
            if engine.name in self.too_large:
                raise MemoryError("not enough memory")
            self.timed.append(engine.name)
            self.now += self.slow.get(engine.name, 0.02)

        return compute

    def clock(self):
        return self.now


def choose(work, cache=None, *, name="auto", on_trial=no_trial):
    return choose_engine(name, work, cache, on_trial, work.clock)


def names(choice, *, dropped):
    return {trial.name for trial in choice.trials if bool(trial.dropped) == dropped}


def test_the_fastest_engine_that_agrees_is_chosen():
    work = Work(slow={"vmap[4]": 0.001})
    choice = choose(work)
    assert choice.engine.name == "vmap[4]"
    assert "fastest of 6" in choice.reason
    assert next(trial for trial in choice.trials if trial.name == "vmap[4]").seconds == pytest.approx([0.001] * 5)
    assert "checked against the loop in float64 and float32" in choice.reason
    assert names(choice, dropped=False) == {"vmap", "vmap+remat", "vmap[4]", "vmap[2]", "loop", "loop+remat"}


def test_no_more_tasks_are_vectorized_than_memory_allows():
    work = Work(slow={"vmap[2]": 0.001})
    work.task_bytes = MAX_EXAMPLE_BYTES // 4
    choice = choose(work)
    assert names(choice, dropped=True) == {"vmap", "vmap+remat"}
    assert choice.engine.name == "vmap[2]" and "vmap" not in [name for name, _ in work.checked]
    assert "MB of examples in one vmap" in next(trial.dropped for trial in choice.trials if trial.name == "vmap")
    work.tasks, work.task_bytes = 64, MAX_EXAMPLE_BYTES // 7
    assert "vmap[4]" in names(choose(work), dropped=False), "the largest part of the batch that fits"
    work.task_bytes *= 7
    assert choose(work).engine.name.startswith("loop")


def test_an_engine_that_disagrees_in_float64_is_dropped_with_the_reason():
    choice = choose(Work(slow={"vmap[4]": 0.001}, wrong={"vmap[4]": 1e-6}))
    assert choice.engine.name != "vmap[4]"
    (trial,) = [trial for trial in choice.trials if trial.name == "vmap[4]"]
    assert trial.facts() == {"name": "vmap[4]", "dropped": trial.dropped}
    assert "1.0e-06 in float64" in trial.dropped
    assert "vmap[4]" not in Work().timed


def test_an_engine_that_rounds_far_worse_than_the_loop_is_dropped():
    choice = choose(Work(slow={"vmap[4]": 0.001}, rounds_badly={"vmap[4]": 1e-4}))
    assert choice.engine.name != "vmap[4]"
    assert "in float32" in next(trial.dropped for trial in choice.trials if trial.name == "vmap[4]")


def test_an_engine_at_a_kink_passes_if_the_nudged_loop_crosses_it_too():
    work = Work(rounds_badly={"vmap[4]": 1e-4}, slow={"vmap[4]": 0.001})
    work.kink = 1e-4
    assert choose(work).engine.name == "vmap[4]"
    assert len(set(work.nudges)) == len(work.nudges) > 1, "once for all candidates"
    work.kink = 1e-6
    choice = choose(work)
    assert "1.0e-04 in float32 (at most 1e-05 allowed)" in next(t.dropped for t in choice.trials if t.name == "vmap[4]")


def test_without_disagreement_the_loop_runs_on_no_nudged_examples():
    work = Work()
    choose(work)
    assert not work.nudges


@pytest.mark.parametrize("no_double", [False, True])
def test_nan_is_a_mismatch(no_double):
    choice = choose(Work(wrong={"vmap[4]": float("nan")}, no_double=no_double, slow={"vmap[4]": 0.001}))
    assert "vmap[4]" in names(choice, dropped=True)


def test_an_engine_that_fails_is_dropped_with_the_first_line_of_its_error():
    choice = choose(Work(raises={"vmap": RuntimeError("cannot call .item()\nand more")}))
    assert choice.engine.name != "vmap"
    assert next(trial.dropped for trial in choice.trials if trial.name == "vmap") == "RuntimeError: cannot call .item()"


def test_the_loop_runs_if_no_other_engine_passes_and_the_reason_names_the_error():
    error = RuntimeError("vmap: data-dependent control flow")
    others = ["vmap", "vmap+remat", "vmap[4]", "vmap[2]"]
    choice = choose(Work(raises=dict.fromkeys(others, error)))
    assert choice.engine.name == "loop"
    assert "data-dependent control flow" in choice.reason


def test_two_rounds_decide_nothing_and_are_not_stored(tmp_path):
    cache = AutotuneCache(tmp_path, {})
    work = Work(iterations=200, slow={"vmap": 0.05, "vmap[4]": 0.001, **dict.fromkeys(["loop", "vmap+remat"], 0.3)})
    choice = choose(work, cache)  # 3 % of 10 seconds: the slow ones use them up
    assert choice.engine.name == "vmap"
    assert "too short a time" in choice.reason
    assert cache.load() is None


def test_the_first_engine_is_replaced_only_by_a_clearly_faster_one():
    assert choose(Work(slow={"vmap": 0.0203, "vmap[4]": 0.0195})).engine.name == "vmap"
    assert choose(Work(slow={"vmap": 0.0208, "vmap[4]": 0.0195})).engine.name == "vmap[4]"


def test_compiled_candidates_are_tried_if_the_training_is_long():
    long = choose(Work(iterations=200_000, slow={"vmap+compiled": 0.001}))
    assert long.engine.name == "vmap+compiled"
    assert not any("compiled" in trial.name for trial in choose(Work()).trials)


def test_every_candidate_is_announced_before_it_is_tried():
    announced = []
    choice = choose(Work(wrong={"vmap[2]": 1.0}), on_trial=lambda name, seconds: announced.append(name))
    assert announced == [trial.name for trial in choice.trials] and "vmap[2]" in announced


def test_the_time_of_trials_is_estimated_when_the_first_engine_is_timed():
    announced = []
    choose(
        Work(iterations=200_000, slow={"vmap+compiled": 0.001}),
        on_trial=lambda name, seconds: announced.append((name, seconds)),
    )
    assert announced[0] == ("vmap", None)
    left = dict(announced)
    assert left["vmap+compiled"] >= COMPILING_SECONDS > left["loop"] >= 0


def test_a_short_training_skips_the_trials():
    work = Work(iterations=10)
    choice = choose(work)
    assert choice.engine.name == "vmap"
    assert "the training is short" in choice.reason
    assert set(work.timed) == {"vmap"}
    assert ("vmap", True) in work.checked


def test_without_training_the_engine_is_checked_and_not_timed():
    work = Work()
    work.trains = False
    choice = choose(work)
    assert choice.engine.name == "vmap"
    assert work.timed == []
    assert ("vmap", True) in work.checked


def test_a_network_that_refuses_float64_is_checked_in_float32_alone():
    choice = choose(Work(10, no_double=True))
    assert choice.engine.name == "vmap"
    assert "checked against the loop in float32" in choice.reason
    choice = choose(Work(10, no_double=True, wrong={"vmap": 0.01, "vmap+remat": 0.01}))
    assert choice.engine.name == "vmap[4]"


def test_a_configuration_error_of_the_run_is_raised():
    with pytest.raises(ConfigError, match="too small"):
        choose(Work(raises={"vmap": ConfigError("images are too small")}))


def test_an_engine_whose_whole_batch_does_not_fit_is_dropped():
    work = Work(iterations=10)
    work.too_large = ("vmap", "vmap+remat")
    choice = choose(work)
    assert choice.engine.name == "vmap[4]"
    assert names(choice, dropped=True) == {"vmap", "vmap+remat"}


def test_an_algorithm_that_declares_it_cannot_be_vectorized_runs_in_the_loop():
    work = Work()
    work.vectorizes = False
    choice = choose(work)
    assert choice.engine.name == "loop"
    assert "declares" in choice.reason
    assert work.checked == work.timed == []


def test_a_requested_engine_is_neither_checked_nor_timed():
    work = Work()
    choice = choose(work, name="loop")
    assert (choice.engine.name, choice.reason) == ("loop", "requested")
    assert work.checked == work.timed == []


class TestCache:
    """A choice is made once per machine and workload."""

    def test_a_stored_choice_is_checked_and_not_timed(self, tmp_path):
        cache = AutotuneCache(tmp_path, {"cpu": "A"})
        first = choose(Work(slow={"vmap[2]": 0.001}), cache)
        work = Work()
        second = choose(work, cache)
        assert second.engine.name == first.engine.name == "vmap[2]"
        assert "remembered" in second.reason
        assert work.timed == []
        assert ("vmap[2]", True) in work.checked

    def test_other_facts_are_another_workload(self, tmp_path):
        AutotuneCache(tmp_path, {"cpu": "A"}).store("loop")
        assert AutotuneCache(tmp_path, {"cpu": "A"}).load() == "loop"
        assert AutotuneCache(tmp_path, {"cpu": "B"}).load() is None

    def test_a_stored_engine_that_no_longer_agrees_is_replaced(self, tmp_path):
        cache = AutotuneCache(tmp_path, {})
        cache.store("vmap[2]")
        choice = choose(Work(wrong={"vmap[2]": 0.1}), cache)
        assert choice.engine.name != "vmap[2]"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"engine": "vmap"}', '{"engine": "vmap", "facts": {"other": 1}}'])
    def test_an_unreadable_file_counts_as_no_choice(self, tmp_path, text):
        cache = AutotuneCache(tmp_path, {"cpu": "A"})
        cache.path.write_text(text)
        assert cache.load() is None

    def test_a_folder_that_cannot_be_written_is_no_error(self, tmp_path):
        (tmp_path / "file").write_text("")
        cache = AutotuneCache(tmp_path / "file" / "engines", {})
        cache.store("vmap")
        assert cache.load() is None

    def test_an_unknown_stored_name_is_replaced(self, tmp_path):
        cache = AutotuneCache(tmp_path, {})
        cache.store("warp-drive")
        assert choose(Work(10), cache).engine.name == "vmap"
