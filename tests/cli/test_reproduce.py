"""``mamlbench reproduce``: the list, the plan, the runs and the verdicts, through the real command line."""

import pytest
from toy_published import write_numbers

from mamlbench.errors import ExitCode

NAME = "toy2026/toy-3w1s"


@pytest.fixture
def reproduce(project, toy_plugin):
    """The command with the toy numbers; ``reproduce.numbers(score=..., margin=...)`` writes others."""

    class Reproduce:
        def __init__(self):
            self.numbers()

        def numbers(self, **values):
            self.plugins = ("--plugin", str(toy_plugin), "--plugin", str(write_numbers(project.path, **values)))

        def __call__(self, *arguments, expect=ExitCode.OK):
            return project.run("reproduce", *arguments, *self.plugins, expect=expect)

    return Reproduce()


def test_the_list_names_numbers_and_readings(reproduce):
    out = reproduce("toy2026").out
    assert NAME in out and "50.0 ± 1.0 %" in out and "slow, fast, joint†" in out and "finn2017" not in out
    names = [entry["name"] for entry in reproduce("--json").json()]
    assert {NAME, f"{NAME}-1step", "finn2017/omniglot-5w1s", "chen2019/mini-5w5s-baseline"} <= set(names)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["toy2026/toy-3w1z"], "Did you mean 'toy2026/toy-3w1s'?", ExitCode.USAGE),
        (["toy2025"], "Did you mean 'toy2026'?", ExitCode.NOTHING),
        ([NAME, "--variant", "fats"], "has no reading 'fats'. Did you mean 'fast'?", ExitCode.USAGE),
        ([f"{NAME}:slo"], "has no reading 'slo'. Did you mean 'slow'?", ExitCode.USAGE),
        ([NAME, "--scale", "0"], "0.0 is not in the range 0<x<=1", ExitCode.USAGE),
        ([NAME, "--scale", "nan"], "The scale must be above 0 and up to 1, not nan.", ExitCode.USAGE),
        ([NAME, "-o", "inner_lr=1"], "the settings of the runs are the source's", ExitCode.USAGE),
    ],
)
def test_a_mistake_is_one_sentence(reproduce, arguments, message, code):
    assert message in reproduce(*arguments, expect=code).err.replace("\n", " ")


def test_a_dry_run_shows_every_setting_and_the_cost_and_runs_nothing(reproduce, project):
    out = " ".join(reproduce(NAME, "--dry-run", "--scale", "0.5").out.split())
    assert (
        "20 of 40 iterations" in out and "halve_every 10 --scale 0.5" in out and "backbone.width 4 reproduction" in out
    )
    assert "outer_schedule cosine preset quick" in out and "test_steps 3 reproduction" in out
    assert "Differs from the source: patterns in place of images" in out
    assert "80 tasks (720 examples) and 50 test episodes a run; time unknown" in out
    assert not (project.path / "results").exists()


def test_readings_stand_side_by_side(reproduce):
    out = reproduce(NAME, "--dry-run", "--variant", "all").out
    (row,) = [line.split() for line in out.splitlines() if line.split()[:1] == ["inner_lr"]]
    assert row[1:4] == ["0.4", "0.8", "0.4"]
    plans = reproduce(NAME, "--dry-run", "--variant", "all", "--json").json()
    assert [plan["name"] for plan in plans] == [f"{NAME}:slow", f"{NAME}:fast", f"{NAME}:joint"]
    assert [plan["specs"][0]["algorithm"]["options"]["train_steps"] for plan in plans] == [1, 1, 0]
    assert [bool(plan["mistake"]) for plan in plans] == [False, False, True]


def test_a_number_is_run_again_and_gets_its_verdict(reproduce, project):
    (done,) = reproduce(NAME, "-q", "--json").json()
    verdict = done["verdict"]
    (record,) = project.records()
    score = record.test.modes["transductive"].score
    assert verdict["kind"] == "reproduced" and verdict["records"] == [record.name]
    assert verdict["ours"] == pytest.approx(100 * score.mean) and verdict["over"] == "episodes"
    assert verdict["difference"] == pytest.approx(100 * score.mean - 50)
    assert record.spec.training.iterations == 40 and record.spec_hash == done["spec_hashes"][0]
    again = reproduce(NAME)
    assert len(project.records()) == 1, "a finished run is not run again"
    assert "50.0 ± 1.0 %" in again.out and "reproduced" in again.out and "finished" in again.err
    # the same model serves the number after one step, in another mode
    (other,) = reproduce(f"{NAME}-1step", "-q", "--json").json()
    assert len(project.records()) == 1 and other["mode"] == "inductive"
    assert other["verdict"]["ours"] != verdict["ours"] and other["verdict"]["kind"] == "reproduced"
    assert project.run("published", "toy2026", *reproduce.plugins, "--json").json()[0]["tier"] == "reproduced"
    assert "reproduced" in project.run("report", "--published", "--format", "md", *reproduce.plugins).out


def test_another_score_is_below_and_may_be_refused(reproduce):
    reproduce.numbers(score=99.0, margin=1.0)
    done = reproduce(NAME, "-q", "--require", "reproduced", expect=ExitCode.REGRESSION)
    assert "below" in done.out
    reproduce.numbers(score=1.0, margin=1.0)
    assert "above" in reproduce(NAME, "-q").out


def test_a_run_at_a_scale_says_so_everywhere(reproduce, project):
    done = reproduce(NAME, "-q", "--scale", "0.25", "--require", "reproduced", expect=ExitCode.REGRESSION)
    assert "not comparable: run here at a scale of 0.25: 10 of 40 iterations" in done.out
    assert "10 of 40 iterations (scale 0.25)" in done.out
    (record,) = project.records()
    assert record.spec.training.iterations == 10 and record.spec.algorithm.options["halve_every"] == 5
    (plan,) = reproduce(NAME, "-q", "--scale", "0.25", "--json").json()
    assert (plan["scale"], plan["iterations"], plan["full_iterations"]) == (0.25, 10, 40)
    assert project.run("published", "toy2026", *reproduce.plugins, "--json").json()[0]["tier"] == "run at a scale"


def test_a_mistake_of_the_original_is_marked_in_every_table(reproduce, project):
    out = reproduce(f"{NAME}:joint", "-q").out
    assert "†" in out and "repeats a mistake of the original: trains without an inner step" in " ".join(out.split())
    (record,) = project.records()
    assert record.spec.mistake == "trains without an inner step under the name of MAML"
    for format_ in ("md", "latex", "json"):
        assert "repeats a mistake on purpose: trains without" in project.run("report", "--format", format_).out
    assert reproduce("--json").json()  # the list needs no run


@pytest.mark.slow
def test_several_seeds_and_readings_are_launched_together(reproduce, project):
    results = reproduce(NAME, "-q", "--seeds", "3", "--variant", "slow", "--variant", "fast", "--json").json()
    assert [result["verdict"]["seeds"] for result in results] == [3, 3]
    assert [result["verdict"]["over"] for result in results] == ["seeds", "seeds"]
    assert len(project.records()) == 6


def test_an_interrupt_has_no_verdict_and_can_be_continued(reproduce, project):
    numbers = project.path / "toy_numbers.toml"
    text = numbers.read_text()
    numbers.write_text(text.replace('preset = "quick"', 'preset = "quick"\nalgorithm = "interrupts"'))
    done = reproduce(NAME, "-q", "--engine", "loop", expect=ExitCode.INTERRUPTED)
    assert "The same command again goes on" in done.err
    (first,) = project.records()
    reproduce(NAME, "-q", "--engine", "loop", expect=ExitCode.INTERRUPTED)
    (second,) = project.records()
    assert first.name == second.name, "the same run goes on"
    assert (first.measurement.pieces, second.measurement.pieces) == (1, 2)


def test_a_run_that_fails_has_no_verdict(reproduce, project):
    numbers = project.path / "toy_numbers.toml"
    numbers.write_text(numbers.read_text().replace('preset = "quick"', 'preset = "quick"\nalgorithm = "explodes"'))
    done = reproduce(NAME, "-q", expect=ExitCode.RUN_FAILED)
    assert "There is no verdict yet. The same command again goes on." in done.err and not done.out
