"""What each trap of docs/traps.md does to the score of the same method on the same data.

    mamlbench suite benchmarks/traps/traps.toml --data-dir DIR --results-dir results/traps
    python benchmarks/trap_tables.py results/traps --data-dir DIR

Trained models are tested again with other numbers of queries and in other modes; these scores are kept in
``FOLDER/again.json``, so that the same command prints the tables again. Without the models, which are not committed,
the scores that are there already are printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from rich.progress import track

import mamlbench
from mamlbench.record import RunRecord
from mamlbench.report import read_records

QUERIES = (1, 5, 15)
MODES = ("transductive", "support+query", "inductive", "running")
FEW, MANY, DRAWS = 32, 600, 10_000
PLUGIN = Path(__file__).parent / "traps" / "trap_data.py"

Scores = dict[str, dict[str, float]]
"""By name of a record and what was tested, the score of each mode, from 0 to 1."""


def main() -> None:
    """Test what has not been tested again, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results folder of the suite")
    parser.add_argument("--data-dir", type=Path)
    arguments = parser.parse_args()
    records = [r for r in read_records([arguments.folder]).records if r.status == "finished" and r.test is not None]
    plain = [r for r in records if is_plain(r)]
    again = test_again(plain, arguments.folder, arguments.data_dir)
    print_changes([r for r in records if r.spec.dataset.name != "miniimagenet"])
    print_queries(plain, again)
    print_few_tasks(plain)


def is_plain(record: RunRecord) -> bool:
    """Whether it is MAML without a trap."""
    spec = record.spec
    mean_loss = spec.algorithm.options["loss_reduction"] == "mean"
    return spec.algorithm.name == "maml" and spec.dataset.name in ("omniglot", "miniimagenet") and mean_loss


def test_again(records: Iterable[RunRecord], folder: Path, data_dir: Path | None) -> Scores:
    """Test every model with other queries in all modes, but what ``again.json`` has."""
    path = folder / "again.json"
    scores: Scores = json.loads(path.read_text()) if path.exists() else {}
    missing = [
        (record.name, queries)
        for record in records
        for queries in QUERIES
        if key_of(record.name, queries) not in scores and (folder / record.name).exists()
    ]
    for name, queries in track(missing, "testing"):
        model = folder / f"{name}.json"
        test = mamlbench.evaluate(model, data_dir=data_dir, plugins=[PLUGIN], queries=queries, modes=list(MODES))
        scores[key_of(name, queries)] = {mode: result.score.mean for mode, result in test.modes.items()}
        path.write_text(json.dumps(scores, indent=1, sort_keys=True) + "\n")
    return scores


def key_of(name: str, queries: int) -> str:
    """Name of a test in ``again.json``."""
    return f"{name} queries={queries}"


def print_changes(records: Sequence[RunRecord]) -> None:
    """A row for each trap: the score of each seed, their mean, and the mean difference from the run without it."""
    rows: dict[str, dict[int, float]] = {}
    for record in records:
        rows.setdefault(trap(record), {})[record.spec.seed] = transductive(record)
    honest = rows["none"]
    print("| trap | accuracy of each seed, % | mean | difference |\n|---|---|---:|---:|")
    for name, scores in rows.items():
        difference = [scores[seed] - honest[seed] for seed in scores if seed in honest]
        seeds = ", ".join(f"{100 * scores[seed]:.1f}" for seed in sorted(scores))
        print(f"| {name} | {seeds} | {100 * mean(scores.values()):.1f} | {100 * mean(difference):+.1f} |")


def trap(record: RunRecord) -> str:
    """What is wrong with a run."""
    spec = record.spec
    if spec.algorithm.name == "fomaml":
        return "first-order code under MAML's name"
    if spec.algorithm.options["loss_reduction"] != "mean":
        return "a sum in place of the mean"
    return {"omniglot": "none"}.get(spec.dataset.name, spec.dataset.name.removeprefix("omniglot-").replace("-", " "))


def transductive(record: RunRecord) -> float:
    """The test score, from 0 to 1."""
    assert record.test is not None
    return record.test.modes["transductive"].score.mean


def print_queries(records: Sequence[RunRecord], again: Scores) -> None:
    """The same models by queries per class and mode: means over seeds."""
    for dataset in dict.fromkeys(r.spec.dataset.name for r in records):
        names = [r.name for r in records if r.spec.dataset.name == dataset]
        print(f"\n| {dataset}, queries per class | {' | '.join(MODES)} |\n|---|{'---:|' * len(MODES)}")
        for queries in QUERIES:
            tests = [again[key] for name in names if (key := key_of(name, queries)) in again]
            cells = [f"{100 * mean(test[mode] for test in tests):.1f}" if tests else "" for mode in MODES]
            print(f"| {queries} | {' | '.join(cells)} |")


def print_few_tasks(records: Sequence[RunRecord]) -> None:
    """How far means over a few of a record's test episodes lie apart."""
    rng = np.random.default_rng(0)
    print(f"\n| test tasks | 95 % of {DRAWS:,} draws lie between |\n|---|---|")
    record = next(r for r in records if r.spec.dataset.name == "omniglot")
    assert record.test is not None
    scores = np.asarray(record.test.modes["transductive"].episode_scores)
    for number in (FEW, MANY):
        means = rng.choice(scores, (DRAWS, number)).mean(1)
        low, high = np.quantile(means, [0.025, 0.975])
        print(f"| {number} | {100 * low:.1f} and {100 * high:.1f} % |")


if __name__ == "__main__":
    main()
