"""``mamlbench speedrun``: targets, entries by turns with the baseline, and the ledger."""

import json

import pytest

from mamlbench.errors import ExitCode

TARGET = """
name = "tiny"
about = "30 % on glyphs"
dataset = "glyphs"
ways = 3
shots = 1
queries = 1
test_episodes = 5
mode = "transductive"
score = 0.01
level = 0.2
seeds = 2

[[track]]
name = "A"
rule = "MAML alone at the end."
algorithm = "maml"
backbone = "conv4-strided"
backbone_options = { width = 2 }
baseline = "plain"

[[entry]]
name = "plain"
track = "A"
about = "MAML"
[[entry.phase]]
algorithm = "maml"
iterations = 2
meta_batch_size = 2
options = { backbone.width = 2 }
"""
ENTRIES = """
[[entry]]
name = "warm"
track = "A"
about = "prototypes first"
[[entry.phase]]
algorithm = "protonet"
iterations = 2
meta_batch_size = 2
train_ways = 4
options = { backbone.width = 2 }
[[entry.phase]]
algorithm = "maml"
iterations = 1
meta_batch_size = 2
options = { backbone.width = 2 }

[[entry]]
name = "wide"
track = "A"
about = "another network"
[[entry.phase]]
algorithm = "maml"
iterations = 1

[[entry]]
name = "other"
track = "A"
about = "another method"
[[entry.phase]]
algorithm = "fomaml"
iterations = 1
options = { backbone.width = 2 }

[[entry]]
name = "lost"
track = "C"
about = "another track"
[[entry.phase]]
algorithm = "maml"
iterations = 1
"""
PLUGIN = """
from pathlib import Path
import mamlbench

@mamlbench.hookimpl
def mamlbench_register_speedruns(register):
    register("tiny", Path(__file__).with_name("tiny.toml"), summary="for a test")
"""


@pytest.fixture
def speedrun(project, call):
    (project.path / "tiny.toml").write_text(TARGET)
    (project.path / "entries.toml").write_text(ENTRIES)
    project.write(plugin=PLUGIN)
    return lambda *words: call("speedrun", *words, "--plugin", "plugin.py")


def test_targets_rules_and_entries_are_shown(speedrun):
    code, out, _ = speedrun()
    assert code == ExitCode.OK and "tiny" in out and "for a test" in out
    code, out, _ = speedrun("tiny")
    assert code == ExitCode.OK and "30 % on glyphs" in out and "MAML alone at the end." in out and "plain" in out
    code, out, _ = speedrun("tiny", "--json")
    assert json.loads(out)["target"]["entry"][0]["name"] == "plain"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tony"], "There is no speedrun 'tony'. Did you mean 'tiny'?"),
        (["tiny", "plane"], "'tiny' has no entry 'plane'. Did you mean 'plain'?"),
        (["tiny", "wide", "--entries", "entries.toml"], "phase 1: the network has width=64, not 2. Track A: MAML"),
        (["tiny", "other", "--entries", "entries.toml"], "the last phase trains by fomaml, not maml"),
        (["tiny", "lost", "--entries", "entries.toml"], "Entry 'lost': there is no track 'C', but A."),
        (["tiny", "plain", "--entries", "plugin.py"], "'plugin.py' cannot be read"),
    ],
)
def test_mistakes_are_named_before_anything_runs(project, speedrun, words, message):
    code, _, err = speedrun(*words)
    assert code == ExitCode.USAGE and message in err
    assert not (project.path / "results").exists()


@pytest.mark.slow
def test_an_entry_runs_by_turns_with_the_baseline_and_enters_the_ledger(project, speedrun):
    words = ["tiny", "warm", "--entries", "entries.toml", "--ledger", "ledger"]
    code, out, err = speedrun(*words, "-q", "--json", "--require", "reached")
    verdicts = json.loads(out)
    assert [verdict["result"]["entry"]["name"] for verdict in verdicts] == ["plain", "warm"]
    for verdict in verdicts:
        assert [trial["seed"] for trial in verdict["result"]["trials"]] == [0, 1]
        assert all(trial["training_seconds"] > 0 for trial in verdict["result"]["trials"])
    assert [len(trial["records"]) for trial in verdicts[1]["result"]["trials"]] == [2, 2]
    assert verdicts[0]["result"]["is_baseline"] and verdicts[1]["result"]["beside"] == ["plain"]
    assert code == (ExitCode.OK if verdicts[1]["reached"] else ExitCode.REGRESSION)
    assert len(list((project.path / "ledger").glob("tiny-*.json"))) == 2 and "Result: ledger/tiny-warm" in err

    records = {path.stem: json.loads(path.read_text()) for path in (project.path / "results").glob("*.json")}
    first, last = (records[name] for name in verdicts[1]["result"]["trials"][0]["records"])
    assert last["spec"]["init"].endswith(f"{first['name']}.json") and last["spec"]["protocol"]["test_episodes"] == 5
    assert first["spec"]["protocol"]["test_episodes"] == 2 and first["spec"]["training"]["ways"] == 4

    (project.path / "ledger" / "tiny-broken.json").write_text("{}")
    code, out, err = speedrun("tiny", "--ledger", "ledger")
    assert code == ExitCode.OK and out.index("Ledger") < out.index("warm") and "tiny-broken.json' cannot be read" in err
