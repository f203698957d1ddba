"""How five methods hold up: spread over training seeds, wrong support labels, disturbed images, another data set.

    mamlbench suite results/quick.toml --data-dir DIR --results-dir results/quick
    python benchmarks/robustness.py results/quick --data-dir DIR

Every trained model is tested again under each condition; these scores are kept in ``FOLDER/robustness.json``, so that
the same command prints the tables again. Without the models, which are not committed, the scores that are there already
are printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from rich.progress import track

import mamlbench
from mamlbench.record import RunRecord
from mamlbench.report import read_records

METHODS = ("maml", "fomaml", "reptile", "pretrain", "protonet")
MODE = "transductive"


class Condition(NamedTuple):
    """What is changed in the test, as arguments of ``mamlbench.evaluate``."""

    name: str
    changes: dict[str, Any]


LABELS = [
    Condition("5 shots, all labels right", {"shots": 5}),
    *(Condition(f"5 shots, {share:.0%} wrong labels", {"shots": 5, "label_noise": share}) for share in (0.1, 0.2, 0.4)),
]
IMAGES = [
    Condition(f"{text.partition(':')[0]} {text.partition(':')[2]}", {"corrupt": text})
    for text in ("noise:0.1", "noise:0.3", "blur:1", "blur:2", "contrast:0.5", "contrast:0.8")
]
OTHER = {
    "omniglot": Condition("tested on glyphs", {"dataset": "glyphs", "resize": True}),
    "glyphs": Condition("tested on Omniglot", {"dataset": "omniglot", "resize": True}),
}

Scores = dict[str, dict[str, float]]
"""By name of a record, the score under each condition, from 0 to 1."""


def main() -> None:
    """Test what has not been tested, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results folder of the suite")
    parser.add_argument("--data-dir", type=Path)
    arguments = parser.parse_args()
    records = [record for record in read_records([arguments.folder]).records if is_of_interest(record)]
    scores = test_again(records, arguments.folder, arguments.data_dir)
    print_table(records, scores, "omniglot", [*LABELS, *IMAGES, OTHER["omniglot"]])
    print_table(records, scores, "glyphs", [OTHER["glyphs"]])


def is_of_interest(record: RunRecord) -> bool:
    """Whether it is a 5-way 1-shot run of one of the methods."""
    spec = record.spec
    task = spec.protocol.ways, spec.protocol.shots
    return (
        record.status == "finished" and spec.algorithm.name in METHODS and spec.dataset.name in OTHER and task == (5, 1)
    )


def conditions_of(record: RunRecord) -> list[Condition]:
    """What a model is tested under."""
    other = OTHER[record.spec.dataset.name]
    return [*LABELS, *IMAGES, other] if record.spec.dataset.name == "omniglot" else [other]


def test_again(records: Iterable[RunRecord], folder: Path, data_dir: Path | None) -> Scores:
    """Test every model under every condition, but what ``robustness.json`` has."""
    path = folder / "robustness.json"
    scores: Scores = json.loads(path.read_text()) if path.exists() else {}
    missing = [
        (record, condition)
        for record in records
        for condition in conditions_of(record)
        if condition.name not in scores.get(record.name, {}) and (folder / record.name).exists()
    ]
    for record, condition in track(missing, "testing"):
        test = mamlbench.evaluate(folder / f"{record.name}.json", data_dir=data_dir, modes=[MODE], **condition.changes)
        scores.setdefault(record.name, {})[condition.name] = test.modes[MODE].score.mean
        path.write_text(json.dumps(scores, indent=1, sort_keys=True) + "\n")
    return scores


def print_table(records: Sequence[RunRecord], scores: Scores, dataset: str, conditions: Sequence[Condition]) -> None:
    """A row for each condition, a column for each method: mean and standard deviation over training seeds, in %."""
    of_method = {
        method: [r for r in records if (r.spec.algorithm.name, r.spec.dataset.name) == (method, dataset)]
        for method in METHODS
    }
    seeds = {method: len(group) for method, group in of_method.items()}
    print(f"\nTrained on {dataset}; training seeds: {', '.join(f'{name} {count}' for name, count in seeds.items())}\n")
    print(f"| test | {' | '.join(METHODS)} |\n|---|{'---:|' * len(METHODS)}")
    as_trained = {r.name: r.test.modes[MODE].score.mean for r in records if r.test is not None}
    rows = {"as trained": as_trained}
    for condition in conditions:
        rows[condition.name] = {
            name: tests[condition.name] for name, tests in scores.items() if condition.name in tests
        }
    for title, values in rows.items():
        cells = [cell([values[r.name] for r in group if r.name in values]) for group in of_method.values()]
        print(f"| {title} | {' | '.join(cells)} |")


def cell(values: Sequence[float]) -> str:
    """``93.5 ± 0.4``; without a deviation for one seed, empty for none."""
    if not values:
        return ""
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread}"


if __name__ == "__main__":
    main()
