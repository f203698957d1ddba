"""Numbers that are not finite: where they are found, what the reason names, what is kept, and what is skipped."""

from types import SimpleNamespace

import pytest
import torch

from mamlbench.api import EpisodeBatch, Examples, OuterUpdate
from mamlbench.errors import DivergedError, RunFailedError
from mamlbench.record import read_record
from mamlbench.run_spec import RunRequest
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.divergence import MOST_SKIPPED, DivergenceGuard, check_scores, diverged_tasks
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan
from mamlbench.runner.ranks.rank_group import ALONE

TINY = {
    "dataset": "toy",
    "ways": 3,
    "test_episodes": 10,
    "validation_episodes": 6,
    "meta_batch_size": 4,
    "iterations": 24,
    "engine": "vmap",
    "options": {"backbone.width": 4},
}
NAN = float("nan")


@pytest.fixture(scope="module")
def specs(plugins):
    return lambda name, **request: plan(RunRequest(algorithms=(name,), **{**TINY, **request}), plugins)


@pytest.fixture(scope="module")
def run(plugins, folders, specs):
    return lambda name, **request: launch(specs(name, **request), plugins, folders)[0]


@pytest.fixture(scope="module")
def bad_tasks(plugins, specs):
    """Iteration (counted from 1) and tasks whose loss is NaN with the method 'stumbles'."""
    (spec,) = specs("stumbles")
    experiment = build_experiment(spec, plugins, load_dataset(spec, plugins, SimpleNamespace(data=(), cache=None)))
    keys = [experiment.training_batch(iteration).keys % 16 == 0 for iteration in range(24)]
    return {number: bad.nonzero().flatten().tolist() for number, bad in enumerate(keys, 1) if bad.any()}


def test_the_iteration_the_task_and_the_setting_are_named(run, bad_tasks):
    record = run("stumbles")
    iteration, tasks = next(iter(bad_tasks.items()))
    more = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
    episode = 4 * (iteration - 1) + tasks[0]
    assert record.status == "diverged" and record.measurement.iterations == iteration - 1
    assert record.reason == (
        f"The training loss is nan at iteration {iteration}, task {tasks[0] + 1}{more} of 4 (training episode "
        f"{episode}): try a smaller inner_lr (now 0.331)."
    )


def test_skipped_updates_are_counted_and_change_nothing(run, bad_tasks, folders):
    record = run("stumbles", on_divergence="skip")
    assert record.status == "finished"
    assert record.skipped.updates == [*bad_tasks] and record.skipped.validations == []
    assert read_record(folders.results / f"{record.name}.json") == record
    assert all(point.loss is None or point.loss == point.loss for point in record.curve)
    assert run("fomaml", on_divergence="skip").skipped is None


def test_skip_trains_as_stop_does_if_nothing_is_skipped(run):
    stop, skip = run("fomaml"), run("fomaml", on_divergence="skip")
    assert stop.test.modes == skip.test.modes and [p.loss for p in stop.curve] == [p.loss for p in skip.curve]
    assert stop.spec_hash != skip.spec_hash


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("maml", {"inner_lr": 1e30}, "inner_lr (now 1e+30), or a clip."),
        ("maml", {"outer_lr": 1e30}, "outer_lr (now 1e+30), or a clip."),
        ("maml", {"outer_lr": 1e30, "clip": 1.0}, "outer_lr (now 1e+30)."),
        ("reptile", {"inner_lr": 1e30}, "inner_lr (now 1e+30)."),
        ("reptile", {"outer_lr": 1e30}, "outer_lr (now 1e+30)."),
    ],
)
def test_rates_that_explode(run, folders, name, options, reason):
    record = run(name, options={**TINY["options"], **options})
    assert record.status == "diverged" and record.reason.endswith(reason), record.reason
    assert "NaN" not in (folders.results / f"{record.name}.json").read_text()


def test_the_last_good_model_is_kept_and_can_be_tested(run, plugins, folders):
    record = run("explodes", validate_every=5)
    assert record.status == "diverged" and record.selected_iteration in (5, 10)
    path = folders.results / f"{record.name}.json"
    assert len(evaluate_model(path, plugins, folders).modes["inductive"].episode_scores) == 10


def test_a_test_that_diverges_names_the_episode_and_keeps_the_model(run, plugins, folders):
    record = run("pretrain", iterations=4, validate_every=4)
    path = folders.results / f"{record.name}.json"
    with pytest.raises(DivergedError, match=r"test episode 0 .* try a smaller finetune_lr \(now 1e\+38\)"):
        evaluate_model(path, plugins, folders, options={"finetune_lr": 1e38})


def test_an_untrained_network_that_diverges_has_no_score(run, plugins, folders, monkeypatch):
    record = run("maml", iterations=4)
    path = folders.results / f"{record.name}.json"

    def with_nan(state):
        return {name: value * NAN if name.startswith("meta") else value for name, value in state.items()}

    monkeypatch.setattr("mamlbench.runner.evaluate.clone", with_nan)
    evaluation = evaluate_model(path, plugins, folders)
    result = evaluation.modes["inductive"]
    assert evaluation.untrained_diverged == 10
    assert result.untrained is None and result.gain is None and result.score == record.test.modes["inductive"].score


class Line:
    """A method that learns one number, for a guard alone: the update of a task is its x."""

    def __init__(self):
        self.meta = {"w": torch.zeros(1)}
        self.steps = 0

    def state(self):
        return {"meta/w": self.meta["w"], "steps": torch.tensor(self.steps)}

    def load_state(self, state):
        self.meta["w"].copy_(state["meta/w"])
        self.steps = int(state["steps"])

    def apply(self, update):
        self.meta["w"] += update.sums["w"] / update.count
        self.steps += 1


def make_guard(xs, *, device="cpu", policy="stop", options=None):
    """A guard of a run whose tasks have these examples ``xs [iterations][tasks]``."""
    algorithm = Line()
    spec = SimpleNamespace(
        training=SimpleNamespace(on_divergence=policy, meta_batch_size=len(xs[0])),
        algorithm=SimpleNamespace(options=options or {}),
        dataset=SimpleNamespace(name="lines"),
    )

    def batch(iteration):
        x = torch.tensor(xs[iteration])[:, None]
        examples = Examples(x.nan_to_num(0.0, 0.0), torch.zeros_like(x, dtype=torch.int64))
        return EpisodeBatch(examples, examples, torch.tensor([float(v) for v in x.flatten()]))

    def update(iteration, episodes):
        return OuterUpdate({"w": episodes.keys.sum()[None]}, episodes.keys.sum(), len(episodes.keys))

    experiment = SimpleNamespace(
        spec=spec,
        ranks=ALONE,
        algorithm=algorithm,
        device=SimpleNamespace(type=device),
        training_batch=batch,
        compute_update=update,
    )
    return DivergenceGuard(experiment, {name: value.clone() for name, value in algorithm.state().items()})


def drive(guard, iterations):
    guard.begin_block()
    applied = []
    for iteration in range(iterations):
        batch = guard.experiment.training_batch(iteration)
        applied.append(guard.apply(iteration, batch, guard.experiment.compute_update(iteration, batch)))
    guard.end_block()
    return applied


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_state_is_the_last_good_one_on_every_device(device):
    guard = make_guard([[1.0, 2.0], [3.0, 4.0], [5.0, NAN], [7.0, 8.0]], device=device)
    with pytest.raises(DivergedError, match=r"loss is nan at iteration 3, task 2 of 2 \(training episode 5\)"):
        drive(guard, 4)
    assert float(guard.experiment.algorithm.meta["w"]) == 1.5 + 3.5 and guard.experiment.algorithm.steps == 2


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_without_a_bad_number_every_update_is_applied(device):
    guard = make_guard([[1.0], [2.0]], device=device)
    assert drive(guard, 2) == [True, True] and float(guard.experiment.algorithm.meta["w"]) == 3.0


def test_a_skipped_update_leaves_no_trace():
    guard = make_guard([[1.0], [NAN], [2.0]], policy="skip")
    assert drive(guard, 3) == [True, False, True]
    assert guard.skipped == [2]
    assert float(guard.experiment.algorithm.meta["w"]) == 3.0 and guard.experiment.algorithm.steps == 2


def test_an_update_that_spoils_the_state_is_taken_back():
    guard = make_guard([[1.0], [3e38], [3e38], [2.0]], policy="skip")
    assert drive(guard, 3) == [True, True, False] and guard.skipped == [3]


def test_nothing_but_skipped_updates_ends_the_run():
    guard = make_guard([[NAN]] * MOST_SKIPPED, policy="skip", options={"outer_lr": 0.5})
    assert drive(guard, MOST_SKIPPED - 1) == [False] * (MOST_SKIPPED - 1)
    batch = guard.experiment.training_batch(0)
    with pytest.raises(
        DivergedError, match=rf"100 updates in a row .* iteration {MOST_SKIPPED}: .*outer_lr \(now 0.5\)"
    ):
        guard.apply(MOST_SKIPPED - 1, batch, guard.experiment.compute_update(0, batch))


def test_what_was_not_finite_before_training_may_stay_so():
    guard = make_guard([[1.0]])
    guard.experiment.algorithm.meta["w"].fill_(float("inf"))
    with pytest.raises(DivergedError, match="'meta/w' is not finite after iteration 7"):
        guard.check_state(7)
    guard.initial["meta/w"] = torch.tensor([float("inf")])
    guard.check_state(7)


def test_tasks_with_an_output_that_is_not_finite():
    good, bad = torch.zeros(3, 2, 5), torch.zeros(3, 2, 5)
    bad[1, 0, 2] = float("inf")
    assert diverged_tasks([good]) == [] and diverged_tasks([good, bad]) == [1]


@pytest.mark.parametrize(("output", "error"), [(1e20, DivergedError), (1.0, RunFailedError)])
def test_a_score_that_is_not_finite_is_the_outputs_fault_or_the_metrics(output, error):
    metric = SimpleNamespace(name="mean squared error", unit="")
    outputs = torch.full((2, 1, 1), output)
    with pytest.raises(RunFailedError, match="test episode 41 is inf") as raised:
        check_scores(metric, torch.tensor([0.0, float("inf")]), outputs, "test", 40)
    assert type(raised.value) is error
    check_scores(metric, torch.tensor([0.0, 1.0]), outputs, "test", 40)


@pytest.mark.parametrize("score", [1.2, -0.2])
def test_a_share_outside_0_to_1_is_the_metrics_fault(score):
    metric, outputs = SimpleNamespace(name="accuracy", unit="%"), torch.zeros(1, 1, 1)
    with pytest.raises(RunFailedError, match=r"validation episode 7 is .* mistake of the metric"):
        check_scores(metric, torch.tensor([score]), outputs, "val", 7)
    check_scores(metric, torch.tensor([1.0]), outputs, "val", 7)


def test_from_the_command_line(call, toy_plugin, tmp_path, monkeypatch, bad_tasks):
    monkeypatch.chdir(tmp_path)
    sizes = "--ways 3 --test-episodes 10 --validation-episodes 6 --meta-batch-size 4 --iterations 24 --engine vmap"
    command = ("run", "--algo", "stumbles", "--dataset", "toy", "--plugin", str(toy_plugin), *sizes.split(), "-q")
    code, _, err = call(*command, "-o", "backbone.width=4")
    assert code == 6 and f"diverged: The training loss is nan at iteration {next(iter(bad_tasks))}, task" in err
    code, out, _ = call(*command, "-o", "backbone.width=4", "--on-divergence", "skip")
    assert code == 0 and f"{len(bad_tasks)} of 24 updates and 0 validations were not finite" in " ".join(out.split())
