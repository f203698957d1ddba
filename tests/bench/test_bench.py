"""The bench computes the same work by everybody, and says by how much they differ."""

import json

import pytest
import torch

from mamlbench.api import Peer
from mamlbench.bench import SETTINGS, Bench, Setting, about_peers
from mamlbench.bench.memory import peak_above_idle
from mamlbench.bench.work import Work
from mamlbench.cli.main import main
from mamlbench.errors import ExitCode
from mamlbench.plugin import load_plugins

TINY = Setting("tiny", ("maml", "fomaml"), tasks=2, steps=2, shots=2, queries=2, shape=(1, 14, 14))


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
    from mamlbench.plugin.registry import Entry

    loaded.registry.add_all(
        Entry("peer", name, peer, "", "here")
        for name, peer in (("by-hand", ByHand), ("wrong", Wrong), ("none", Missing))
    )
    return loaded


def rows(plugins, engines, peers, *, setting=TINY, base="loop"):
    bench = Bench([setting], engines, peers, rounds=2, base=base)
    return [row for cell in bench.rows(plugins, lambda *told: None) for row in cell]


def test_engines_and_peers_agree_and_a_wrong_one_is_seen(plugins):
    found = rows(plugins, ["vmap", "loop", "vmap+recomputed"], ["by-hand", "wrong"])
    assert {(row.algorithm, row.who) for row in found} >= {("maml", "vmap"), ("fomaml", "by-hand")}
    for row in found:
        assert row.seconds.median > 0 and row.of_peak > 0
        assert (row.difference < 1e-3) == (row.who != "wrong"), row
        assert (row.speed is None) == (row.who == "loop")


def test_a_peer_that_is_not_installed_is_a_row_that_says_so(plugins):
    found = [row for row in rows(plugins, ["loop"], ["none"]) if row.who == "none"]
    assert len(found) == 2 and all("not installed" in row.note and row.seconds is None for row in found)


def test_what_a_peer_cannot_do_is_left_out(plugins):
    setting = Setting("evaluation", ("maml",), tasks=2, ways=2, shape=(1, 14, 14), work="evaluation")
    assert {row.who for row in rows(plugins, ["loop", "vmap"], ["by-hand"], setting=setting)} == {"loop", "vmap"}


def test_without_its_base_ratios_are_to_the_loop(plugins):
    found = rows(plugins, ["loop", "vmap"], ["none"], base="none")
    assert all((row.speed is not None) == (row.who == "vmap") for row in found if row.seconds)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_every_setting_can_be_built(setting):
    work = Work(setting, setting.algorithms[0], load_plugins().registry)
    assert work.batch.support.x.shape == (setting.tasks, setting.ways * setting.shots, *setting.shape)
    assert callable(work.ours("loop"))


def test_what_is_timed_of_a_peer_is_said(plugins):
    assert about_peers(["by-hand"], plugins) == {"by-hand": "by-hand: torch.autograd.grad"}


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
    assert row["who"] == "vmap" and row["seconds"]["median"] > 0
    assert "reptile, reptile: done" in err
