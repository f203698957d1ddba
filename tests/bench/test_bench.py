"""The benchmark gives all engines and peers the same work, and reports how far their results differ."""

import json
from dataclasses import replace

import pytest
import torch

from mamlbench.api import OuterOptimizer, Peer
from mamlbench.bench import SETTINGS, Bench, BenchSetting, describe_peers
from mamlbench.bench.memory import peak_above_idle
from mamlbench.bench.training import TrainingIterations
from mamlbench.bench.work import Work
from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.plugin import load_plugins
from mamlbench.plugin.registry import Entry
from mamlbench.run_spec import Folders

TINY = BenchSetting("tiny", ("maml", "fomaml"), tasks=2, steps=2, shots=2, queries=2, shape=(1, 14, 14))


class ByHand(Peer):
    """Another library, as anybody would write it with torch.autograd; ``rate`` times the right inner rate."""

    package, call, rate = "by-hand", "torch.autograd.grad", 1.0

    def iteration(self, work):
        def iteration():
            work.network.zero_grad()
            for task in range(work.batch.tasks):
                weights = dict(work.network.named_parameters())
                for _ in range(work.steps):
                    outputs = torch.func.functional_call(work.network, weights, (work.batch.support.x[task],))
                    loss = work.loss(outputs, work.batch.support.y[task])
                    slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=not work.first_order)
                    moved = zip(weights.items(), slopes, strict=True)
                    weights = {name: value - self.rate * work.inner_lr * slope for (name, value), slope in moved}
                outputs = torch.func.functional_call(work.network, weights, (work.batch.query.x[task],))
                work.loss(outputs, work.batch.query.y[task]).backward()

        return iteration


class Wrong(ByHand):
    """The same with another inner rate."""

    rate = 2.0


class Missing(Peer):
    """A peer that is not installed."""

    package, call = "missing", "nothing"

    def iteration(self, work):
        raise ImportError("No module named 'missing'")


@pytest.fixture
def plugins(tmp_path):
    loaded = load_plugins()
    loaded.registry.add_all(
        Entry("peer", name, peer, "", "here")
        for name, peer in (("by-hand", ByHand), ("wrong", Wrong), ("none", Missing))
    )
    return loaded


def relative(ours, theirs):
    ours, theirs = (
        value if isinstance(value, torch.Tensor) else torch.cat([value[name].flatten() for name in sorted(value)])
        for value in (ours, theirs)
    )
    return float((ours - theirs).norm() / theirs.norm())


def rows(plugins, engines, peers, *, setting=TINY, base="loop"):
    bench = Bench([setting], engines, peers, rounds=2, base=base)
    return [row for cell in bench.results(plugins, lambda *progress: None) for row in cell]


def test_engines_and_peers_agree_and_a_wrong_one_is_shown(plugins):
    results = rows(plugins, ["vmap", "loop", "vmap+remat"], ["by-hand", "wrong"])
    assert {(row.algorithm, row.competitor) for row in results} >= {("maml", "vmap"), ("fomaml", "by-hand")}
    for row in results:
        assert row.seconds.median > 0 and row.peak_fraction > 0
        assert (row.difference < 1e-3) == (row.competitor != "wrong"), row
        assert (row.speedup is None) == (row.competitor == "loop")


def test_a_peer_that_is_not_installed_is_a_row_with_a_note(plugins):
    results = [row for row in rows(plugins, ["loop"], ["none"]) if row.competitor == "none"]
    assert len(results) == 2 and all("not installed" in row.note and row.seconds is None for row in results)


def test_what_a_peer_cannot_do_is_left_out(plugins):
    setting = BenchSetting("evaluation", ("maml",), tasks=2, ways=2, shape=(1, 14, 14), work="evaluation")
    assert {row.competitor for row in rows(plugins, ["loop", "vmap"], ["by-hand"], setting=setting)} == {"loop", "vmap"}


def test_without_its_base_ratios_are_to_the_loop(plugins):
    results = rows(plugins, ["loop", "vmap"], ["none"], base="none")
    assert all((row.speedup is not None) == (row.competitor == "vmap") for row in results if row.seconds)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_every_setting_can_be_built(setting):
    work = Work(setting, setting.algorithms[0], load_plugins().registry)
    assert work.batch.support.x.shape == (setting.tasks, setting.ways * setting.shots, *setting.shape)
    assert callable(work.with_engine("loop"))


@pytest.mark.parametrize(
    "setting",
    [
        BenchSetting(
            "r",
            ("reptile",),
            tasks=3,
            ways=3,
            shots=2,
            queries=0,
            steps=3,
            shape=(1, 14, 14),
            options={"inner_batch_size": 4, "inner_lr": 1e-3},
        ),
        BenchSetting(
            "e", ("maml",), tasks=3, ways=3, shots=2, queries=2, steps=2, shape=(1, 14, 14), work="evaluation"
        ),
    ],
    ids=["reptile", "evaluation"],
)
def test_a_plain_loop_in_torch_computes_the_same(plugins, setting):
    (row,) = [row for row in rows(plugins, ["vmap", "plain"], [], setting=setting, base="plain") if row.speedup]
    work = Work(setting, setting.algorithms[0], plugins.registry)
    assert row.competitor == "vmap"
    assert relative(work.with_engine("loop")(), work.with_plain_loop()()) < 1e-3


def test_a_plain_loop_of_what_has_none_is_left_out(plugins):
    assert {row.competitor for row in rows(plugins, ["loop", "plain"], [])} == {"loop"}


def test_peers_get_the_network_of_the_papers(plugins):
    """What fusion puts in is ours: a peer's user has torch's layers."""
    setting = replace(TINY, shape=(3, 16, 16), backbone="conv4-pooled")
    seen = []

    class Looks(ByHand):
        def iteration(self, work):
            seen.append(work.network)
            return super().iteration(work)

    work = Work(setting, "maml", plugins.registry)
    theirs = work.with_peer(Looks())()
    kinds = [type(module).__name__ for module in seen[0].modules()]
    assert [kinds.count(kind) for kind in ("Conv2d", "BatchNorm", "ReLU", "MaxPool2d")] == [4, 4, 4, 4]
    assert relative(work.with_engine("loop")(), theirs) < 1e-3


class TestWholeTraining:
    """Drawing episodes, the meta-gradient and the outer step."""

    SETTING = BenchSetting("t", ("maml",), tasks=2, ways=3, work="training", dataset="toy", engines=("vmap", "loop"))

    @pytest.fixture
    def toys(self, toy_plugin):
        return load_plugins([toy_plugin])

    def test_engines_and_peers_train(self, toys, tmp_path):
        trained = []

        class Trains(ByHand):
            def training(self, work):
                assert work.x.shape == (40 * 12, 1, 14, 14) and work.y.tolist() == [n // 12 for n in range(480)]
                return lambda: trained.append(work.first_order)

        toys.registry.add_all(Entry("peer", name, peer, "", "here") for name, peer in (("t", Trains), ("b", ByHand)))
        bench = Bench([self.SETTING], (), ["t", "b"], rounds=2, base="t", folders=Folders(cache=tmp_path))
        (results,) = bench.results(toys, lambda *progress: None)
        assert [row.competitor for row in results] == ["vmap", "loop", "t"]
        assert all(row.difference is None and row.memory is None for row in results)
        assert results[0].speedup is not None and trained == [False] * 3

    def test_an_iteration_takes_an_outer_step(self, toys, tmp_path, monkeypatch):
        steps = []
        work = TrainingIterations(self.SETTING, "maml", toys, Folders(cache=tmp_path))
        monkeypatch.setattr(OuterOptimizer, "step", lambda self, gradient: steps.append(sorted(gradient)))
        iteration = work.with_engine("loop")
        iteration()
        iteration()
        assert len(steps) == 2

    def test_a_missing_data_set_is_a_row_with_a_note(self, tmp_path):
        setting = replace(self.SETTING, dataset="miniimagenet")
        bench = Bench([setting], (), [], rounds=1, folders=Folders(cache=tmp_path))
        ((row,),) = bench.results(load_plugins(), lambda *progress: None)
        assert row.seconds is None and "miniimagenet" in row.note.lower()


@pytest.mark.slow
def test_memory_is_compared_with_first_order_maml():
    setting = replace(TINY, memory=True, engines=("loop", "loop+remat"))
    results = [
        row
        for cell in Bench([setting], (), [], rounds=1).results(load_plugins(), lambda *progress: None)
        for row in cell
    ]
    measured = {(row.algorithm, row.competitor): row for row in results}
    first, recomputed = measured["fomaml", "loop"], measured["maml", "loop+remat"]
    if first.memory is not None:
        assert first.memory_ratio == 1.0
        assert recomputed.memory_ratio == recomputed.memory / first.memory


def test_the_call_that_is_timed_of_a_peer_is_described(plugins):
    assert describe_peers(["by-hand"], plugins) == {"by-hand": "by-hand: torch.autograd.grad"}


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own():
    peak = peak_above_idle(TINY, "maml", "loop", ())
    assert peak is None or 0 < peak < 2**31


def test_the_command_prints_json_and_refuses_unknown_names(capsys):
    assert main(["bench", "--setting", "omniglot-5w1", "--engine", "vmap"]) == ExitCode.USAGE
    assert "Did you mean 'omniglot-5w1s'" in capsys.readouterr().err
    assert main(["bench", "--engine", "vmp"]) == ExitCode.USAGE
    assert main(["bench", "--peer", "learn2lern"]) == ExitCode.USAGE
    assert "Did you mean 'learn2learn'" in capsys.readouterr().err
    assert main(["bench", "--setting", "reptile", "--engine", "vmap", "--rounds", "1", "--json"]) == ExitCode.OK
    out, err = capsys.readouterr()
    (row,) = json.loads(out)["rows"]
    assert row["competitor"] == "vmap" and row["seconds"]["median"] > 0
    assert "reptile, reptile: done" in err
