"""Which cells of a suite are to be run, and why."""

import pytest
import torch

from mamlbench.api import Launcher
from mamlbench.errors import ConfigError, DataError
from mamlbench.plugin import load_plugins
from mamlbench.record import ResultStore, Segment, make_record, read_record
from mamlbench.run_spec import Folders
from mamlbench.runner.environment import run_environment
from mamlbench.runner.meter import Meter
from mamlbench.runner.suites.run_suite import plan_suite, run_suite
from mamlbench.suite import read_changes, read_suite

SUITE = """
algorithm = ["maml", "reptile"]
iterations = 10
shots = 5
seeds = 2
device = "cpu"
options.backbone.width = 8
"""


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


@pytest.fixture
def planned(tmp_path, plugins):
    def planned(text=SUITE, changes=None, **flags):
        (tmp_path / "suite.toml").write_text(text)
        folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
        replaced = read_changes(changes or {})
        return plan_suite(read_suite(tmp_path / "suite.toml"), plugins, folders, changes=replaced, **flags)

    return planned


@pytest.fixture
def write(tmp_path, plugins):
    store = ResultStore(tmp_path / "results")

    def write(spec, status="finished", started="2026-01-01", measured=True, **changed):
        environment = run_environment("cpu", plugins, spec.precision, spec).model_copy(update=changed)
        stem, attempt = store.reserve(spec, environment.fingerprint)
        reason = "" if status == "finished" else "because"
        numbers = {"warmup": Segment(), "iterations": 1, "examples": 1, "to_target": None, "own_process": False}
        measurement = Meter(torch.device("cpu")).measurement(**numbers) if measured else None
        results = {"started": started, "reason": reason, "measurement": measurement}
        record = make_record(spec, environment, status, name=stem, attempt=attempt, **results)
        return read_record(store.write(stem, record))

    return write


def states(plan):
    return [(cell.state, cell.reason) for cell in plan.cells]


def test_settings_reach_the_specs(planned):
    specs = [cell.spec for cell in planned().cells]
    assert [(spec.algorithm.name, spec.seed) for spec in specs] == [
        ("maml", 0),
        ("maml", 1),
        ("reptile", 0),
        ("reptile", 1),
    ]
    assert {(s.training.iterations, s.protocol.shots, s.backbone.options["width"]) for s in specs} == {(10, 5, 8)}


def test_every_single_setting_is_one_of_a_run(planned):
    """No key is accepted and ignored."""
    text = SUITE + 'modes = ["inductive"]\n'
    base = planned(text).cells[0].spec
    settings = {
        "dataset": "omniglot",
        "ways": "4",
        "shots": "2",
        "queries": "3",
        "test_episodes": "30",
        "iterations": "7",
        "validation_episodes": "20",
        "episode_seed": "5",
        "backbone": "conv4-pooled",
        "algorithm": "fomaml",
        "sampler": "fixed-pool",
        "meta_batch_size": "9",
        "device": "auto",
        "engine": "loop",
        "seed": "8",
        "modes": '["transductive"]',
        "metrics": '["macro F1"]',
        "keep_predictions": "true",
        "checkpoint_every": "4",
        "target_score": "0.5",
    }
    for name, value in settings.items():
        changed = planned(text, {name: value}).cells[0].spec
        assert changed != base or name == "device", name


def test_equal_cells_are_one(planned):
    assert len(planned(SUITE + '[[include]]\nalgorithm = "maml"\nseeds = 3').cells) == 5


def test_finished_cells_are_run_again_only_on_request(planned, write):
    first, *_ = (cell.spec for cell in planned().cells)
    record = write(first)
    again = planned()
    assert states(again) == [("finished", "")] + 3 * [("to do", "")]
    assert again.cells[0].record == record
    assert len(again.waiting) == 3
    assert states(planned(fresh=True)) == 4 * [("to do", "requested")]


def test_a_failed_cell_is_run_again_only_on_request(planned, write):
    first, second, *_ = (cell.spec for cell in planned().cells)
    write(first, "failed")
    write(second, "diverged")
    assert states(planned())[:2] == [("failed", "because"), ("failed", "because")]
    assert states(planned(retry_failed=True))[:2] == [("to do", "failed before"), ("to do", "diverged before")]


def test_a_cell_whose_process_was_killed_is_run_again(planned, write):
    write(planned().cells[0].spec, "failed", measured=False)
    assert states(planned())[0] == ("to do", "its process was killed")


def test_an_interrupted_cell_is_run_again(planned, write):
    write(planned().cells[0].spec, "interrupted")
    assert states(planned())[0] == ("to do", "was interrupted")


def test_the_latest_attempt_counts_but_a_finished_one_stays_finished(planned, write):
    first, second, *_ = (cell.spec for cell in planned().cells)
    write(first, "failed", started="2026-01-01")
    write(first, "interrupted", started="2026-01-02")
    write(second, "finished", started="2026-01-01")
    write(second, "failed", started="2026-01-02")
    assert states(planned())[:2] == [("to do", "was interrupted"), ("finished", "")]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"code_hash": "0" * 16}, "changed since its last run: code"),
        ({"cpu": "a fast one"}, "changed since its last run: cpu a fast one → "),
        ({"packages": {"torch": "1.0"}}, "torch 1.0 → "),
        ({"plugins": {"other-plugin": "3"}}, "other-plugin 3 → absent"),
    ],
)
def test_other_code_or_another_environment_is_run_again_with_the_reason(planned, write, changed, message):
    write(planned().cells[0].spec, **changed)
    state, reason = states(planned())[0]
    assert state == "to do" and message in reason


def test_a_commit_that_changes_no_code_changes_nothing(planned, write):
    write(planned().cells[0].spec, git_revision="another")
    assert states(planned())[0] == ("finished", "")


def test_mistakes_found_by_plugins_have_their_lines(planned, tmp_path):
    text = """
algorithm = ["maml", "reptil"]
dataset = "glyphs"
iterations = 10

[options]
inner_rl = [0.1, 0.2]
backbone.width = [8, 0]

[[include]]
algorithm = "maml"
preset = "papper"
"""
    with pytest.raises(ConfigError) as caught:
        planned(text)
    located = [problem.replace(str(tmp_path / "suite.toml"), "suite.toml") for problem in caught.value.problems]
    assert located == [
        "suite.toml:7: options.inner_rl: algorithm 'maml' has no option 'inner_rl'. Did you mean 'inner_lr'?",
        "suite.toml:8: options.backbone.width: backbone 'conv4-strided': option 'backbone.width': input should be "
        "greater than or equal to 1, not 0.",
        "suite.toml:2: algorithm: Unknown algorithm 'reptil'. Did you mean 'reptile'?",
        "suite.toml:12: include.preset: Algorithm 'maml' has no preset 'papper'. Did you mean 'paper'?",
    ]


def test_a_mistake_on_the_command_line_is_located_there(planned):
    with pytest.raises(ConfigError, match=r"--set options\.backbone\.widht: backbone 'conv4-strided' has no option"):
        planned(changes={"options.backbone.widht": "3"})


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (DataError("no data"), [("not started", "no data")] + 3 * [("finished", "")]),
        (KeyboardInterrupt(), [("interrupted", "interrupted before it began")]),
    ],
)
def test_cells_that_cannot_be_started(planned, write, plugins, tmp_path, error, ends):  # noqa: PLR0917
    class First(Launcher):
        """Reports that the first job failed with this error."""

        def launch(self, jobs, emit):
            yield jobs[0], error
            if not isinstance(error, KeyboardInterrupt):
                yield from ((job, write(job.spec)) for job in jobs[1:])

    plan = planned()
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
    ended = list(run_suite(plan, plugins, folders, First(None)))
    assert [(cell.state, cell.reason) for cell in ended] == ends
    assert plan.cells[: len(ends)] == ended and len(plan.waiting) == 4 - len(ends)


def test_cells_may_end_in_any_order(planned, write, plugins, tmp_path):
    class Backwards(Launcher):
        def launch(self, jobs, emit):
            yield from ((job, write(job.spec)) for job in reversed(jobs))

    plan = planned()
    specs = [cell.spec for cell in plan.cells]
    folders = Folders(results=tmp_path / "results", cache=tmp_path / "cache")
    ended = list(run_suite(plan, plugins, folders, Backwards(None)))
    assert [cell.spec for cell in ended] == specs[::-1]
    assert [cell.spec for cell in plan.cells] == specs and not plan.waiting
    assert all(cell.record.spec == cell.spec for cell in plan.cells)
