"""The choice of an engine: checked, timed where it pays, remembered, never silent about what was dropped."""

import pytest
import torch

from mamlbench.engine import EXAMPLE_BYTES_AT_ONCE, AutotuneCache, choose_engine
from mamlbench.errors import ConfigError


class Work:
    """Engines whose outcome and speed are made up: ``slow`` seconds per batch, ``wrong`` relative errors.

    ``clock`` is advanced by the batches that are computed, and by nothing else.
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


def choose(work, remembered=None, *, name="auto", on_trial=str):
    return choose_engine(name, work, remembered, on_trial, work.clock)


def names(choice, *, dropped):
    return {trial.name for trial in choice.trials if bool(trial.dropped) == dropped}


def test_the_fastest_of_those_that_agree_is_taken():
    work = Work(slow={"vmap[4]": 0.001})
    choice = choose(work)
    assert choice.engine.name == "vmap[4]"
    assert "fastest of 6" in choice.reason
    assert next(trial for trial in choice.trials if trial.name == "vmap[4]").seconds == pytest.approx([0.001] * 5)
    assert "checked against the loop in float64 and float32" in choice.reason
    assert names(choice, dropped=False) == {"vmap", "vmap+remat", "vmap[4]", "vmap[2]", "loop", "loop+remat"}


def test_no_more_tasks_are_computed_at_once_than_memory_allows():
    work = Work(slow={"vmap[2]": 0.001})
    work.task_bytes = EXAMPLE_BYTES_AT_ONCE // 4
    choice = choose(work)
    assert names(choice, dropped=True) == {"vmap", "vmap+remat"}
    assert choice.engine.name == "vmap[2]" and "vmap" not in [name for name, _ in work.checked]
    assert "MB of examples at once" in next(trial.dropped for trial in choice.trials if trial.name == "vmap")
    work.tasks, work.task_bytes = 64, EXAMPLE_BYTES_AT_ONCE // 7
    assert "vmap[4]" in names(choose(work), dropped=False), "the largest part of the batch that fits"
    work.task_bytes *= 7
    assert choose(work).engine.name.startswith("loop")


def test_one_that_disagrees_in_float64_is_dropped_with_its_reason_however_fast():
    choice = choose(Work(slow={"vmap[4]": 0.001}, wrong={"vmap[4]": 1e-6}))
    assert choice.engine.name != "vmap[4]"
    (trial,) = [trial for trial in choice.trials if trial.name == "vmap[4]"]
    assert trial.facts() == {"name": "vmap[4]", "dropped": trial.dropped}
    assert "1.0e-06 in float64" in trial.dropped
    assert "vmap[4]" not in Work().timed


def test_one_that_rounds_far_worse_than_the_loop_is_dropped():
    choice = choose(Work(slow={"vmap[4]": 0.001}, rounds_badly={"vmap[4]": 1e-4}))
    assert choice.engine.name != "vmap[4]"
    assert "in float32" in next(trial.dropped for trial in choice.trials if trial.name == "vmap[4]")


def test_one_that_meets_a_kink_is_kept_where_the_loop_meets_it_too_when_nudged():
    work = Work(rounds_badly={"vmap[4]": 1e-4}, slow={"vmap[4]": 0.001})
    work.kink = 1e-4
    assert choose(work).engine.name == "vmap[4]"
    assert len(set(work.nudges)) == len(work.nudges) > 1, "once for all candidates"
    work.kink = 1e-6
    choice = choose(work)
    assert "1.0e-04 in float32 (at most 1e-05 allowed)" in next(t.dropped for t in choice.trials if t.name == "vmap[4]")


def test_the_loop_is_not_asked_again_where_all_agree():
    work = Work()
    choose(work)
    assert not work.nudges


@pytest.mark.parametrize("no_double", [False, True])
def test_not_a_number_is_no_agreement(no_double):
    choice = choose(Work(wrong={"vmap[4]": float("nan")}, no_double=no_double, slow={"vmap[4]": 0.001}))
    assert "vmap[4]" in names(choice, dropped=True)


def test_one_that_fails_is_dropped_with_the_first_line_of_its_error():
    choice = choose(Work(raises={"vmap": RuntimeError("cannot call .item()\nand more")}))
    assert choice.engine.name != "vmap"
    assert next(trial.dropped for trial in choice.trials if trial.name == "vmap") == "RuntimeError: cannot call .item()"


def test_where_nothing_else_passes_the_loop_runs_and_the_reason_says_why():
    error = RuntimeError("vmap: data-dependent control flow")
    others = ["vmap", "vmap+remat", "vmap[4]", "vmap[2]"]
    choice = choose(Work(raises=dict.fromkeys(others, error)))
    assert choice.engine.name == "loop"
    assert "data-dependent control flow" in choice.reason


def test_times_of_a_round_or_two_decide_nothing_and_are_not_remembered(tmp_path):
    memory = AutotuneCache(tmp_path, {})
    work = Work(iterations=200, slow={"vmap": 0.05, "vmap[4]": 0.001, **dict.fromkeys(["loop", "vmap+remat"], 0.3)})
    choice = choose(work, memory)  # 3 % of 10 seconds: the slow ones use them up
    assert choice.engine.name == "vmap"
    assert "too short a time" in choice.reason
    assert memory.recall() is None


def test_the_first_is_not_left_for_a_hairs_breadth():
    assert choose(Work(slow={"vmap": 0.0203, "vmap[4]": 0.0195})).engine.name == "vmap"
    assert choose(Work(slow={"vmap": 0.0208, "vmap[4]": 0.0195})).engine.name == "vmap[4]"


def test_compiled_candidates_are_tried_where_the_training_pays_for_compiling():
    long = choose(Work(iterations=200_000, slow={"vmap+compiled": 0.001}))
    assert long.engine.name == "vmap+compiled"
    assert not any("compiled" in trial.name for trial in choose(Work()).trials)


def test_every_candidate_is_announced_before_it_is_tried():
    told = []
    choice = choose(Work(wrong={"vmap[2]": 1.0}), on_trial=told.append)
    assert told == [trial.name for trial in choice.trials] and "vmap[2]" in told


def test_a_short_training_is_not_made_to_pay_for_trials():
    work = Work(iterations=10)
    choice = choose(work)
    assert choice.engine.name == "vmap"
    assert "so short a training" in choice.reason
    assert set(work.timed) == {"vmap"}
    assert ("vmap", True) in work.checked


def test_what_only_evaluates_is_checked_and_not_timed():
    work = Work()
    work.trains = False
    choice = choose(work)
    assert choice.engine.name == "vmap"
    assert work.timed == []
    assert ("vmap", True) in work.checked


def test_a_network_that_insists_on_float32_is_checked_in_float32_alone():
    choice = choose(Work(10, no_double=True))
    assert choice.engine.name == "vmap"
    assert "checked against the loop in float32" in choice.reason
    choice = choose(Work(10, no_double=True, wrong={"vmap": 0.01, "vmap+remat": 0.01}))
    assert choice.engine.name == "vmap[4]"


def test_what_cannot_be_built_is_the_runs_own_error():
    with pytest.raises(ConfigError, match="too small"):
        choose(Work(raises={"vmap": ConfigError("images are too small")}))


def test_one_whose_whole_batch_does_not_fit_is_never_taken():
    work = Work(iterations=10)
    work.too_large = ("vmap", "vmap+remat")
    choice = choose(work)
    assert choice.engine.name == "vmap[4]"
    assert names(choice, dropped=True) == {"vmap", "vmap+remat"}


def test_what_declares_that_it_cannot_be_vectorized_runs_in_the_loop():
    work = Work()
    work.vectorizes = False
    choice = choose(work)
    assert choice.engine.name == "loop"
    assert "declares" in choice.reason
    assert work.checked == work.timed == []


def test_a_forced_engine_is_neither_checked_nor_timed():
    work = Work()
    choice = choose(work, name="loop")
    assert (choice.engine.name, choice.reason) == ("loop", "asked for")
    assert work.checked == work.timed == []


class TestRemembered:
    """A choice is made once per machine and shape of work."""

    def test_the_second_time_nothing_is_timed_but_the_check_is_made(self, tmp_path):
        memory = AutotuneCache(tmp_path, {"cpu": "A"})
        first = choose(Work(slow={"vmap[2]": 0.001}), memory)
        work = Work()
        second = choose(work, memory)
        assert second.engine.name == first.engine.name == "vmap[2]"
        assert "remembered" in second.reason
        assert work.timed == []
        assert ("vmap[2]", True) in work.checked

    def test_other_facts_are_other_work(self, tmp_path):
        AutotuneCache(tmp_path, {"cpu": "A"}).keep("loop")
        assert AutotuneCache(tmp_path, {"cpu": "A"}).recall() == "loop"
        assert AutotuneCache(tmp_path, {"cpu": "B"}).recall() is None

    def test_one_that_agrees_no_longer_is_chosen_anew(self, tmp_path):
        memory = AutotuneCache(tmp_path, {})
        memory.keep("vmap[2]")
        choice = choose(Work(wrong={"vmap[2]": 0.1}), memory)
        assert choice.engine.name != "vmap[2]"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"engine": "vmap"}', '{"engine": "vmap", "facts": {"other": 1}}'])
    def test_what_cannot_be_read_is_forgotten(self, tmp_path, text):
        memory = AutotuneCache(tmp_path, {"cpu": "A"})
        memory.path.write_text(text)
        assert memory.recall() is None

    def test_a_folder_that_cannot_be_written_costs_nothing_else(self, tmp_path):
        (tmp_path / "file").write_text("")
        memory = AutotuneCache(tmp_path / "file" / "engines", {})
        memory.keep("vmap")
        assert memory.recall() is None

    def test_a_name_from_a_later_version_is_chosen_anew(self, tmp_path):
        memory = AutotuneCache(tmp_path, {})
        memory.keep("warp-drive")
        assert choose(Work(10), memory).engine.name == "vmap"
