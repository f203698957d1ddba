"""Sets the quick presets by equal tuning: the best short trials of each method against its default, at full length.

    mamlbench tune --algo ... --budget 20 --length 0.12 ... --results-dir results/equal-tuning
    python benchmarks/quick_presets.py results/equal-tuning --data-dir DIR [--finalists 3] [--toml]

The options of trial 0 and of the best trials of each study train once more, for all iterations of the method's quick
preset with the network of the trials, and are compared on validation episodes alone. ``mamlbench tune --budget 1``
runs them, so that test classes decide nothing here either. The same command goes on where it was stopped, and several
processes share the runs. ``--toml`` prints the presets, as the methods' files have them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mamlbench.plugin import load_plugins
from mamlbench.record.tuning_study import StudyFile, StudyHeader, TuningTrial
from mamlbench.run_spec import Preset, Setting, choose_preset
from mamlbench.run_spec.preset_file import preset_file_text
from mamlbench.run_spec.search_space import hash_of_facts

VALIDATIONS, EPISODES = 2, 600


class Finalist(NamedTuple):
    """Options of one method that go on to the full length."""

    method: str
    rank: int
    """0: the default options"""
    trial: TuningTrial
    study: StudyHeader
    trials: int
    """trials of the study"""

    @property
    def preset(self) -> str:
        return "default" if self.rank == 0 else f"rank-{self.rank}"


def main() -> None:
    """Run what is missing, print the scores of all finalists and what is chosen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results folder of the studies")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--finalists", type=int, default=3, help="trials of each method beside the default")
    parser.add_argument("--toml", action="store_true", help="also print the quick presets that follow")
    arguments = parser.parse_args()
    finalists = find_finalists(arguments.folder / "tuning", arguments.finalists)
    output = arguments.folder / "full-length"
    for rank in range(arguments.finalists + 1):
        train([finalist for finalist in finalists if finalist.rank == rank], output, arguments.data_dir)
    scores = read_scores(output / "tuning")
    print_scores(finalists, scores)
    if arguments.toml:
        print_presets(finalists, scores)


def find_finalists(folder: Path, number: int) -> list[Finalist]:
    """The default and the best ``number`` trials of every study, in the order of the methods' names."""
    finalists = []
    for path in sorted(folder.glob("*.jsonl")):
        study = StudyFile(path).read()
        if study is None:
            continue
        header, trials = study
        drawn = sorted((t for t in trials[1:] if t.score is not None), key=lambda t: -(t.score or 0))
        name = header.spec.algorithm.name
        chosen = enumerate([trials[0], *drawn[:number]])
        finalists += [Finalist(name, rank, trial, header, len(trials)) for rank, trial in chosen]
    return finalists


def quick_preset(study: StudyHeader) -> Preset:
    """The quick preset that the study's trial 0 began with."""
    spec = study.spec
    method = load_plugins().registry.load("algorithm", spec.algorithm.name)
    setting = Setting(spec.dataset.name, spec.protocol.ways, spec.protocol.shots)
    preset = choose_preset(method.presets, "quick", setting)
    if preset is None:
        raise SystemExit(f"{spec.algorithm.name} has no quick preset.")
    return preset


def train(finalists: Sequence[Finalist], output: Path, data_dir: Path) -> None:
    """Train finalists of one rank at full length, all by one command."""
    spec = finalists[0].study.spec
    presets = [(finalist.method, full_length(finalist)) for finalist in finalists]
    file = output / f"{finalists[0].preset}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(preset_file_text(presets, "Finalists of equal tuning: benchmarks/quick_presets.py."))
    command = [sys.executable, "-m", "mamlbench.cli", "tune", "--budget", "1", "--preset", str(file)]
    command += [word for finalist in finalists for word in ("--algo", finalist.method)]
    command += ["--dataset", spec.dataset.name, "--data-dir", str(data_dir), "--results-dir", str(output)]
    command += ["--ways", str(spec.protocol.ways), "--shots", str(spec.protocol.shots)]
    command += [word for mode in spec.protocol.modes for word in ("--mode", mode)]
    command += ["--validations", str(VALIDATIONS), "--validation-episodes", str(EPISODES)]
    command += ["-o", f"backbone.width={spec.backbone.options['width']}", "--output", str(file.with_suffix(".out"))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def full_length(finalist: Finalist) -> Preset:
    """The quick preset with a finalist's options."""
    quick = quick_preset(finalist.study)
    options = {**quick.options, **finalist.trial.options}
    source = f"trial {finalist.trial.trial} of {finalist.trials}"
    return quick.model_copy(update={"name": finalist.preset, "options": options, "source": source, "tuned": None})


def read_scores(folder: Path) -> dict[tuple[str, str], TuningTrial]:
    """The trials at full length by method and name of the preset."""
    studies = filter(None, (StudyFile(path).read() for path in folder.glob("*.jsonl")))
    return {(header.spec.algorithm.name, header.spec.preset): trials[0] for header, trials in studies if trials}


def score(scores: dict[tuple[str, str], TuningTrial], finalist: Finalist) -> float:
    """Validation score at full length; of a run that failed or diverged, none can be lower."""
    trial = scores[finalist.method, finalist.preset]
    return -1.0 if trial.score is None else trial.score


def best(finalists: Iterable[Finalist], scores: dict[tuple[str, str], TuningTrial]) -> Finalist:
    """The finalist with the best score at full length; of equal ones the default, then the better short trial."""
    return max(finalists, key=lambda finalist: (score(scores, finalist), -finalist.rank))


def by_method(finalists: Sequence[Finalist]) -> dict[str, list[Finalist]]:
    """Finalists of each method, the default first."""
    methods = {finalist.method: [f for f in finalists if f.method == finalist.method] for finalist in finalists}
    return dict(sorted(methods.items()))


def print_scores(finalists: Sequence[Finalist], scores: dict[tuple[str, str], TuningTrial]) -> None:
    """A row for each method: percent for the default and each rank, with the number of the trial."""
    for method, own in by_method(finalists).items():
        chosen = best(own, scores)
        cells = [f"{100 * score(scores, f):.1f} ({f.trial.trial})" for f in own]
        seconds = sum(scores[method, f.preset].device_seconds for f in own)
        print(f"| {method} | {' | '.join(cells)} | {chosen.trial.trial} | {seconds:.0f} |")


def print_presets(finalists: Sequence[Finalist], scores: dict[tuple[str, str], TuningTrial]) -> None:
    """The quick preset of each method, as its TOML file has it."""
    for method, own in by_method(finalists).items():
        chosen = best(own, scores)
        print(f"\n# {method}\n[[quick]]")
        values = full_length(chosen).model_dump(mode="json", exclude_defaults=True, exclude={"name", "source"})
        for name, value in {**values, "tuned": tuned(chosen, own[0], scores)}.items():
            print(f"{name} = {toml(value)}")


def tuned(chosen: Finalist, default: Finalist, scores: dict[tuple[str, str], TuningTrial]) -> dict[str, Any]:
    """Where the options come from, as ``mamlbench.run_spec.Tuned`` has it."""
    spec, trial = chosen.study.spec, scores[chosen.method, chosen.preset]
    width = spec.backbone.options["width"]
    short, all_ = spec.training.iterations, quick_preset(chosen.study).iterations
    return {
        "trials": chosen.trials,
        "trial": chosen.trial.trial,
        "score": round(score(scores, chosen), 4),
        "default_score": round(score(scores, default), 4),
        "on": f"{spec.dataset.name} {spec.protocol.ways}-way {spec.protocol.shots}-shot, {spec.backbone.name} "
        f"(width={width}), {short} iterations, the best {len([f for f in scores if f[0] == chosen.method]) - 1} "
        f"and the default for {all_}",
        "sampler_seed": chosen.study.sampler_seed,
        "space": hash_of_facts(chosen.study.space),
        "date": trial.started[:10],
    }


def toml(value: Any) -> str:
    """A value as TOML, tables inline; an option that is None has that as its default."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in value.items() if item is not None) + " }"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
