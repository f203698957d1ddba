"""Runs studies: one trial of each method by turns, so that all have had the same number whenever it is stopped.

Several processes may work on the same studies: each claims a study for one trial. A trial is written when it has ended;
one that is killed goes on from its last checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mamlbench.api import Algorithm
from mamlbench.errors import ConfigError
from mamlbench.interrupts import check_interrupt, cleaned_up, deferred, handled
from mamlbench.plugin import Plugins
from mamlbench.record import Environment, utc_now
from mamlbench.record.claims import ClaimWatcher
from mamlbench.record.tuning_study import StudyFile, StudyHeader, TuningTrial
from mamlbench.run_spec import Folders, RunRequest, RunSpec
from mamlbench.run_spec.search_space import SearchSpace, search_space, space_facts
from mamlbench.runner.component_options import complete_component
from mamlbench.runner.environment import run_environment
from mamlbench.runner.plan import plan
from mamlbench.runner.tuning.draw_options import draw_options, import_optuna
from mamlbench.runner.tuning.run_trial import TrialRunner

FOLDER = "tuning"
"""Folder of studies in the results folder."""
SAMPLER = "random"
POLL_SECONDS = 1.0
"""Time between two looks at the studies that other processes hold."""


@dataclass
class Study:
    """The study of one method: what is searched, and the trials so far."""

    header: StudyHeader
    space: SearchSpace
    path: Path
    trials: list[TuningTrial] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.header.spec.algorithm.name

    def reload(self) -> None:
        """Read the trials that other processes have added. Raises ConfigError if the file is not this study's."""
        content = StudyFile(self.path).read()
        if content is not None and content[0].key != self.header.key:
            raise ConfigError(f"'{self.path}' holds another study: choose another folder with --results-dir.")
        self.trials = [] if content is None else content[1]

    def next_trial(self, budget: int) -> int | None:
        """The first number that has not been tried; None if the budget is used up."""
        done = {trial.trial for trial in self.trials}
        return next((number for number in range(budget) if number not in done), None)

    def options(self, number: int) -> dict[str, Any]:
        """The options of a trial: those of the preset in trial 0, drawn ones in the others."""
        if number == 0:
            return {name: self.header.spec.algorithm.options[name] for name in self.space}
        return draw_options(self.space, self.header.sampler_seed, number)


class TrialScale(NamedTuple):
    """How much a trial trains and validates, in relation to the preset."""

    length: float = 1.0
    """part of the iterations"""
    validations: int | None = None
    """number of validations; None: the preset's"""


FULL_SCALE = TrialScale()


def plan_studies(
    request: RunRequest, plugins: Plugins, folders: Folders, scale: TrialScale = FULL_SCALE, *, sampler_seed: int = 0
) -> list[Study]:
    """Plan a study for each algorithm of a request; options that the request gives are not searched.

    Args:
        request: the run of trial 0.
        plugins: the loaded plugins.
        folders: the studies lie in the results folder, those that were begun too.
        scale: of every trial.
        sampler_seed: seed of the drawn options.

    Raises ConfigError for mistakes in the request, for methods that declare no search space, and without Optuna.
    """
    import_optuna()
    problems, studies = [], []
    for spec in plan(request, plugins):
        algorithm: type[Algorithm] = plugins.registry.load("algorithm", spec.algorithm.name)
        space = {name: item for name, item in search_space(algorithm.Options).items() if name not in request.options}
        if not space:
            problems.append(_nothing_to_tune(spec.algorithm.name, algorithm))
            continue
        header = StudyHeader(
            spec=_shortened(spec, scale),
            space=space_facts(space),
            sampler=SAMPLER,
            sampler_seed=sampler_seed,
        )
        study = Study(header, space, folders.results / FOLDER / header.file_name)
        study.reload()
        studies.append(study)
    if problems:
        raise ConfigError(*problems)
    return studies


def run_studies(
    studies: Sequence[Study], budget: int, plugins: Plugins, folders: Folders, listener: TuningListener
) -> Generator[tuple[Study, TuningTrial], None, None]:
    """Run trials until each study has ``budget`` of them, that with the fewest first; yield each when it is written.

    Trials that other processes run meanwhile are read, and not yielded.

    Raises KeyboardInterrupt if it is interrupted; the trial goes on from its last checkpoint the next time.
    """
    watcher = ClaimWatcher()
    while waiting := [study for study in studies if study.next_trial(budget) is not None]:
        for study in sorted(waiting, key=lambda study: len(study.trials)):
            trial = _attempt(study, budget, watcher, _Work(plugins, folders, listener))
            check_interrupt()
            if trial is not None:
                yield study, trial
                break
        else:
            time.sleep(POLL_SECONDS)


class TuningListener(Protocol):
    """Follows trials."""

    def started(self, study: Study, number: int, spec: RunSpec) -> None:
        """A trial begins."""

    def emit(self, hook: str, *, spec: RunSpec, **arguments: Any) -> None:
        """An event of a trial, as a run emits it."""


@dataclass
class _Work:
    plugins: Plugins
    folders: Folders
    listener: TuningListener


def _attempt(study: Study, budget: int, watcher: ClaimWatcher, work: _Work) -> TuningTrial | None:
    """Run the next trial of a study; None if another process is at work on it, or has run the last one."""
    study.path.parent.mkdir(parents=True, exist_ok=True)
    claim = watcher.take(study.path)
    if claim is None:
        study.reload()
        return None
    with claim, handled(), deferred(), cleaned_up(claim.release):  # an interrupt waits until the trial is written
        study.reload()
        number = study.next_trial(budget)
        if number is None:
            return None
        trial = _run(study, number, work)
        claim.check()
        _write(study, trial)
        return trial


def _run(study: Study, number: int, work: _Work) -> TuningTrial:
    header, options = study.header, study.options(number)
    environment = run_environment(header.spec.device, work.plugins, header.spec.precision, header.spec)
    engine = study.trials[0].engine if study.trials else None
    folder = study.path.with_name(f"{study.path.stem}-trial{number}")
    try:
        spec = trial_spec(header.spec, options, work.plugins)
        work.listener.started(study, number, spec)
        runner = TrialRunner(work.plugins, work.folders, environment, work.listener.emit)
        trial = runner.run(spec, number, options, folder, engine)
    except ConfigError as error:
        if number == 0:
            raise
        trial = _refused(study.trials[0], number, options, str(error))
    return trial.model_copy(update={"environment": _if_new(environment, study.trials)})


def _refused(first: TuningTrial, number: int, options: dict[str, Any], reason: str) -> TuningTrial:
    """The trial whose options the method or its parts refused."""
    about = first.model_dump(include={"metric", "unit", "higher_is_better"})
    return TuningTrial(trial=number, options=options, status="failed", reason=reason, started=utc_now(), **about)


def _if_new(environment: Environment, trials: Sequence[TuningTrial]) -> Environment | None:
    """The environment, unless it is that of the last trial that names one."""
    named = [trial.environment for trial in trials if trial.environment]
    return None if named and named[-1] == environment else environment


def _write(study: Study, trial: TuningTrial) -> None:
    file = StudyFile(study.path)
    if file.read() is None:
        file.append(study.header)
    file.append(trial)
    study.trials = sorted([*study.trials, trial], key=lambda one: one.trial)


def trial_spec(spec: RunSpec, options: dict[str, Any], plugins: Plugins) -> RunSpec:
    """The run of a trial. Raises ConfigError if the method refuses the options."""
    algorithm = plugins.registry.load("algorithm", spec.algorithm.name)
    component = complete_component("algorithm", algorithm, spec.algorithm.name, spec.algorithm.options, options)
    return spec.model_copy(update={"algorithm": component})


def _shortened(spec: RunSpec, scale: TrialScale) -> RunSpec:
    """The run with a part of its iterations, and with so many validations."""
    training = spec.training
    iterations = max(1, round(scale.length * training.iterations)) if training.iterations else 0
    count = scale.validations or -(-training.iterations // training.validate_every)
    every = max(1, math.ceil(iterations / max(1, count)))
    return spec.model_copy(
        update={"training": training.model_copy(update={"iterations": iterations, "validate_every": every})}
    )


def _nothing_to_tune(name: str, algorithm: type[Algorithm]) -> str:
    fields = list(algorithm.Options.model_fields)
    declared = search_space(algorithm.Options)
    if declared:
        return f"Algorithm '{name}': every option that could be tuned ({', '.join(declared)}) is set by -o."
    example = next((field for field in fields if field.endswith("lr")), fields[0] if fields else "inner_lr")
    return (
        f"Algorithm '{name}' declares no search space: annotate an option with the values to try, such as "
        f"{example}: Annotated[float, LogUniform(0.001, 1.0)] (from mamlbench.api)."
    )
