"""Plans the runs of a reproduction: the source's settings in full, or with a fraction of their iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mamlbench.errors import ConfigError, did_you_mean
from mamlbench.plugin import Plugins
from mamlbench.plugin.reproductions import Reproducible
from mamlbench.record import Evaluation, PublishedNumber, RunRecord
from mamlbench.record.reproduction import PlannedReproduction, Reading, Reproduction, iterations_at
from mamlbench.run_spec import Folders, Preset, RunSpec, Setting, TestMode
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.find_preset import find_preset
from mamlbench.runner.plan import make_request, plan

EVERY_READING = "all"
"""Instead of the name of a reading: all of them."""


def plan_reproduction(
    reproducible: Reproducible,
    plugins: Plugins,
    *,
    readings: Sequence[str] = (),
    scale: float = 1.0,
    seeds: int = 1,
    device: str = "auto",
    engine: str = "auto",
) -> list[PlannedReproduction]:
    """Plan the runs of one or more readings.

    Args:
        reproducible: the number and how it is run again.
        plugins: names come from them.
        readings: names of readings, 'all' for all; none: the first.
        scale: fraction of the source's iterations, above 0 and up to 1.
        seeds: number of training seeds, from 0 on.
        device: as for a run.
        engine: as for a run.

    Raises ConfigError with every problem, an unknown reading among them.
    """
    if not 0 < scale <= 1:
        raise ConfigError(f"The scale must be above 0 and up to 1, not {scale:g}.")
    reproduction, number = reproducible
    planned = []
    for variant in _variants(reproduction, readings):
        settings = {**_settings(reproduction, number, variant), "device": device, "engine": engine}
        mistake = variant.mistake if variant else reproduction.mistake
        full, mode = _full_run(settings, reproduction, number, plugins)
        request = {**settings, "modes": full.protocol.modes, "seeds": seeds}
        if scale != 1:
            request |= _at_scale(scale, full, reproduction, settings["options"])
        specs = plan(make_request(**request), plugins)
        differences = (*_preset_of(full, plugins).differences, *reproduction.differences)
        differences += variant.differences if variant else ()
        full, *marked = (_marked(spec, mistake) for spec in (full, *specs))
        planned.append(
            PlannedReproduction(reproduction, number, variant, full, tuple(marked), scale, mode, differences)
        )
    return planned


def _marked(spec: RunSpec, mistake: str) -> RunSpec:
    """The run with the mistake of the original that it repeats, so that every table can mark its score."""
    return spec.model_copy(update={"mistake": mistake}) if mistake else spec


def _variants(reproduction: Reproduction, readings: Sequence[str]) -> list[Reading | None]:
    if EVERY_READING in readings:
        return [None, *reproduction.variants]
    unknown = [name for name in readings if name and name not in reproduction.readings]
    if unknown:
        known = reproduction.readings
        hint = did_you_mean(unknown[0], [*known, EVERY_READING]) if known else " It has one reading alone."
        raise ConfigError(f"'{reproduction.name}' has no reading '{unknown[0]}'.{hint}")
    return [reproduction.variant(name) for name in dict.fromkeys(readings)] or [None]


def _settings(reproduction: Reproduction, number: PublishedNumber, variant: Reading | None) -> dict[str, Any]:
    """The request for the whole run, without modes and seeds."""
    settings = reproduction.settings(variant)
    algorithm = settings.pop("algorithm", number.algorithm)
    task = {"dataset": number.dataset, "ways": number.ways, "shots": number.shots}
    return {"algorithms": (algorithm,), **task, **settings}


def _full_run(
    settings: dict[str, Any], reproduction: Reproduction, number: PublishedNumber, plugins: Plugins
) -> tuple[RunSpec, TestMode]:
    """The run of the source's length, tested in the mode of its number, and that mode."""
    (full,) = plan(make_request(**settings), plugins)
    mode = reproduction.mode or number.mode or full.protocol.modes[0]
    if mode not in full.protocol.modes:
        (full,) = plan(make_request(**settings, modes=(*full.protocol.modes, mode)), plugins)
    return full, mode


def _at_scale(scale: float, full: RunSpec, reproduction: Reproduction, options: dict[str, Any]) -> dict[str, Any]:
    """What a run at a scale changes: the iterations, and the options that count them; schedules follow them.

    Raises ConfigError if the method has no such option.
    """
    known = full.algorithm.options
    if missing := [name for name in reproduction.per_iteration if name not in known]:
        raise ConfigError(f"'{reproduction.name}': {full.algorithm.name} has no option {', '.join(missing)} to scale.")
    counted = {name: known[name] for name in reproduction.per_iteration}
    scaled = {name: iterations_at(scale, count) for name, count in counted.items() if count is not None}
    return {"iterations": iterations_at(scale, full.training.iterations), "options": {**options, **scaled}}


def preset_of(planned: PlannedReproduction, plugins: Plugins) -> Preset:
    """Return the preset that a reproduction's settings begin with."""
    return _preset_of(planned.full, plugins)


def _preset_of(spec: RunSpec, plugins: Plugins) -> Preset:
    algorithm = plugins.registry.load("algorithm", spec.algorithm.name)
    setting = Setting(spec.dataset.name, spec.protocol.ways, spec.protocol.shots)
    return find_preset(algorithm, spec.algorithm.name, spec.preset, setting)


def as_the_number_is_tested(
    planned: PlannedReproduction, record: RunRecord, plugins: Plugins, folders: Folders
) -> RunRecord:
    """Return the record with a test of as many adaptation steps as the number's, if the run was tested with others.

    So one trained model serves the numbers after 1, 5 and 10 steps. Nothing is retrained, and no file is written.
    """
    steps, test = planned.number.steps, record.test
    if test is None or steps is None or test.adaptation_steps == steps:
        return record
    if "test_steps" not in record.spec.algorithm.options or record.model is None:
        return record
    path = folders.results / f"{record.name}.json"
    evaluation: Evaluation = evaluate_model(
        path, plugins, folders, options={"test_steps": steps}, device=record.spec.device
    )
    return record.model_copy(update={"test": evaluation})
