"""How often the gate catches a regression: they are planted, the reference suite is run, `compare` judges.

    python benchmarks/planted_regressions.py OUTPUT [--tries 3] [--unchanged 5] [--set iterations=5] [--judge-only]

An experiment, no part of CI: it needs a machine on which nothing else runs. In each try the suite is run unchanged
(BASE), once with each planted regression (`benchmarks/plants/`, loaded as plugins, so that specs are the same) and
once more unchanged; every run has a training seed of its own, and all take turns, so that they share the machine's
fast and slow hours. Then the gate judges every variant against that try's BASE, as `mamlbench compare` does: a plant
is caught, and an unchanged suite gives an alarm, if the verdict is *worse* (exit code 1). Last, BASE and HEAD are drawn
a thousand times from all recorded runs of their kind. Runs that are recorded in OUTPUT are not run again: after an
interrupt, the same command continues.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mamlbench.errors import ExitCode
from mamlbench.plugin import load_plugins
from mamlbench.record import RunRecord
from mamlbench.report import LoadedRecords, read_records
from mamlbench.report.gate import GateResult, Threshold, compare_records, parse_thresholds
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.reruns.git_revision import CodePaths
from mamlbench.runner.reruns.rerun import Turn, rerun
from mamlbench.runner.suites.run_suite import plan_suite
from mamlbench.suite import Suite, read_changes, read_suite
from mamlbench.user_config import cache_folder

HERE = Path(__file__).parent
PLANTS = sorted(path.stem for path in (HERE / "plants").glob("*.py"))
BASE, UNCHANGED = "base", "unchanged"
FAIL = ("score:15%", "accuracy:-3pp", "milliseconds:+10%", "device_seconds:+10%", "peak_memory:+5%")
SEEDS_APART = 100
"""Between the first seeds of two variants of a try; a try has ten times as many."""


def main() -> None:
    """Run what is missing, judge, resample, and print."""
    arguments = _arguments()
    suite = read_suite(arguments.suite)
    thresholds = parse_thresholds(arguments.fail or FAIL)
    began = time.monotonic()
    if not arguments.judge_only:
        for number in range(max(arguments.tries, arguments.unchanged)):
            _run_try(number, suite, arguments)
    print(f"\n{arguments.suite}, thresholds {', '.join(arguments.fail or FAIL)}")
    _judge_tries(arguments.output, thresholds)
    _resample(_pools(arguments.output), thresholds, arguments.resamplings)
    print(f"\n{time.monotonic() - began:.0f} s in all")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder of the records, one folder per try and variant in it")
    parser.add_argument("--suite", type=Path, default=HERE.parent / "results" / "reference.toml")
    parser.add_argument("--tries", type=int, default=3, help="tries of each plant")
    parser.add_argument("--unchanged", type=int, default=5, help="tries with nothing changed but the seeds")
    parser.add_argument("--plants", nargs="*", choices=PLANTS, default=PLANTS)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="as of mamlbench suite")
    parser.add_argument(
        "--fail", action="append", default=[], help=f"thresholds in place of {' '.join(FAIL)}".replace("%", "%%")
    )
    parser.add_argument("--resamplings", type=int, default=1000)
    parser.add_argument("--judge-only", action="store_true", help="judge what is recorded, run nothing")
    return parser.parse_args()


def _run_try(number: int, suite: Suite, arguments: argparse.Namespace) -> None:
    """One try: every cell of every variant, the variants by turns, another one first each time."""
    variants = [BASE]
    variants += arguments.plants if number < arguments.tries else []
    variants += [UNCHANGED] if number < arguments.unchanged else []
    kinds = [BASE, *PLANTS, UNCHANGED]
    specs = {name: _specs(suite, arguments.set, SEEDS_APART * (10 * number + kinds.index(name))) for name in variants}
    folder = arguments.output / f"try-{number}"
    done = {name: _hashes(folder / name) for name in variants}
    ordered = []
    for cell in range(len(specs[BASE])):
        for place in range(len(variants)):
            name = variants[(place + cell) % len(variants)]
            spec = specs[name][cell]
            if spec.hash not in done[name]:
                ordered.append(Turn(name, spec))  # type: ignore[arg-type]
    problems = rerun(
        ordered,
        {name: CodePaths((), _files(name)) for name in variants},  # type: ignore[misc]
        {name: Folders(results=folder / name, cache=cache_folder()) for name in variants},  # type: ignore[misc]
        lambda place, turn: print(f"try {number}, run {place + 1}/{len(ordered)}: {turn}", file=sys.stderr),
    )
    for problem in problems:
        print(problem, file=sys.stderr)


def _files(variant: str) -> tuple[Path, ...]:
    return (HERE / "plants" / f"{variant}.py",) if variant in PLANTS else ()


def _specs(suite: Suite, changes: Sequence[str], first_seed: int) -> list[RunSpec]:
    """The cells of the suite with as many seeds as it has, counted from ``first_seed``; all of a seed together."""
    values = {name: value for name, _, value in (text.partition("=") for text in changes)}
    folders = Folders(results=Path("no-results"), cache=cache_folder())
    plugins = load_plugins()
    cells = plan_suite(suite, plugins, folders, changes=read_changes(values), fresh=True).cells
    specs = [cell.spec.model_copy(update={"seed": first_seed + cell.spec.seed}) for cell in cells]
    return sorted(specs, key=lambda spec: spec.seed)


def _hashes(folder: Path) -> set[str]:
    return {record.spec_hash for record in _read(folder).records}


def _read(folder: Path) -> LoadedRecords:
    return read_records([folder]) if folder.is_dir() else LoadedRecords([], [], [])


def _judge_tries(output: Path, thresholds: Sequence[Threshold]) -> None:
    codes_by_variant: dict[str, list[ExitCode]] = defaultdict(list)
    for folder in sorted(output.glob("try-*"), key=lambda path: int(path.name.removeprefix("try-"))):
        base = _read(folder / BASE)
        wall = sum(run.measurement.wall_seconds for run in base.records if run.measurement)
        print(f"\n{folder.name}: BASE has {len(base.records)} runs, {wall:.0f} s without their starts")
        for path in sorted(path for path in folder.iterdir() if path.name != BASE):
            result = compare_records(base, _read(path), thresholds)
            codes_by_variant[path.name].append(result.exit_code)
            print(f"  {path.name}: {_answer(result, planted=path.name != UNCHANGED)}")
    print()
    for name, codes in sorted(codes_by_variant.items()):
        alarms = sum(code == ExitCode.REGRESSION for code in codes)
        print(f"{name}: {'alarms' if name == UNCHANGED else 'caught'} {alarms} of {len(codes)}")


def _answer(result: GateResult, *, planted: bool) -> str:
    worse = result.exit_code == ExitCode.REGRESSION
    answer = ("CAUGHT" if worse else "not caught") if planted else ("ALARM" if worse else "no alarm")
    words = Counter(verdict.kind for verdict in result.verdicts if verdict.gated)
    why = [
        f"{verdict.configuration}: {verdict.label} {verdict.change:+.3g}"
        + ("" if verdict.p_value is None else f" (p = {verdict.p_value:.2g})")
        for verdict in result.verdicts
        if verdict.gated and verdict.kind == "worse" and verdict.change is not None
    ]
    counted = ", ".join(f"{count} {word}" for word, count in words.items())
    return "\n    ".join([f"{answer}, exit code {result.exit_code.value} (watched: {counted})", *why])


Pools = dict[str, dict[str, list[RunRecord]]]
"""Recorded runs by variant and cell (the spec without its seed)."""


def _pools(output: Path) -> Pools:
    pools: Pools = defaultdict(lambda: defaultdict(list))
    for path in sorted(output.glob("try-*/*")):
        variant = BASE if path.name == UNCHANGED else path.name
        for record in _read(path).records:
            pools[variant][record.spec.model_copy(update={"seed": 0}).hash].append(record)
    return pools


def _resample(pools: Pools, thresholds: Sequence[Threshold], times: int) -> None:
    """Draw BASE and HEAD from all recorded runs, without replacement, as many of each cell as a try has."""
    tries = max((len(runs) for cells in pools.values() for runs in cells.values()), default=0)
    if not tries or not times:
        return
    generator = np.random.default_rng(0)
    sizes = _runs_of_a_try(pools)
    for variant in sorted(pools, key=lambda name: (name == BASE, name)):
        times_a_try = 2 if variant == BASE else 1
        if any(len(runs) < times_a_try * sizes[cell] for cell, runs in pools[variant].items()):
            print(f"{variant}: too few recorded runs to draw from")
            continue
        codes: Counter[ExitCode] = Counter()
        for _ in range(times):
            base, head = _draw(pools, variant, sizes, generator)
            codes[compare_records(base, head, thresholds).exit_code] += 1
        alarms, shut = (codes[code] / times for code in (ExitCode.REGRESSION, ExitCode.NOTHING))
        name, word = (UNCHANGED, "alarms in") if variant == BASE else (variant, "caught in")
        print(f"{name}: {word} {alarms:.1%} of {times} resamplings; not decided in {shut:.1%}")


def _runs_of_a_try(pools: Pools) -> dict[str, int]:
    """Runs of each cell in one side of one try: seeds of a variant begin at a multiple of SEEDS_APART."""
    blocks = {cell: Counter(run.spec.seed // SEEDS_APART for run in runs) for cell, runs in pools[BASE].items()}
    return {cell: min(counts.values()) for cell, counts in blocks.items()}


def _draw(
    pools: Pools, variant: str, sizes: dict[str, int], generator: np.random.Generator
) -> tuple[LoadedRecords, LoadedRecords]:
    base: list[RunRecord] = []
    head: list[RunRecord] = []
    for cell, runs in pools[variant].items():
        size = sizes[cell]
        if variant == BASE:
            chosen = generator.permutation(len(runs))[: 2 * size]
            base += [runs[place] for place in chosen[:size]]
            head += [runs[place] for place in chosen[size:]]
        else:
            others = pools[BASE][cell]
            base += [others[place] for place in generator.permutation(len(others))[:size]]
            head += [runs[place] for place in generator.permutation(len(runs))[:size]]
    return LoadedRecords(base, [], []), LoadedRecords(head, [], [])


if __name__ == "__main__":
    main()
