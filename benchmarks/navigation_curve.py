"""Draws the return after each adaptation step from records, as figure 4 of Finn et al. 2017 does.

    python benchmarks/navigation_curve.py RESULTS [--output navigation.png]

Prints the same numbers. Records of one method with several training seeds become one line, the mean.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from mamlbench.record import read_record


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the finished records of a folder, print a line for each method, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of records")
    parser.add_argument("--output", type=Path, help="image to write")
    options = parser.parse_args(arguments)
    curves = _curves(options.results)
    for method, curve in curves.items():
        print(json.dumps({"method": method, "return": [round(value, 2) for value in curve]}))
    if options.output is not None:
        _draw(curves, options.output)
    return 0


def _curves(folder: Path) -> dict[str, list[float]]:
    """The mean return after 0, 1, ... steps, by method."""
    runs: dict[str, list[Sequence[float]]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        record = read_record(path)
        if record.test is not None and record.test.metric == "return":
            runs[record.spec.algorithm.name].append(record.test.score_after_step)
    return {method: [fmean(values) for values in zip(*seeds, strict=True)] for method, seeds in runs.items()}


def _draw(curves: dict[str, list[float]], output: Path) -> None:
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for method, curve in curves.items():
        axes.plot(range(len(curve)), curve, marker="o", label=method)
    axes.set(xlabel="gradient steps", ylabel="return", xticks=range(max(map(len, curves.values()))))
    axes.legend(frameon=False)
    figure.savefig(output, dpi=150)


if __name__ == "__main__":
    raise SystemExit(main())
