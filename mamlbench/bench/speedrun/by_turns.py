"""Runs entries of a speedrun and the baseline by turns: seed by seed, each phase in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mamlbench.api import Launcher
from mamlbench.bench.machine_load import LoadMeter, MachineLoad
from mamlbench.errors import ConfigError, RunFailedError, did_you_mean
from mamlbench.plugin import Plugins
from mamlbench.record import RunRecord
from mamlbench.record.speedrun_target import (
    SpeedrunEntry,
    SpeedrunPhase,
    SpeedrunResult,
    SpeedrunTarget,
    SpeedrunTrack,
    SpeedrunTrial,
)
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.launch import launch, make_launcher
from mamlbench.runner.plan import make_request, plan

LEAST_EPISODES = 2
"""Validation episodes, and test episodes of a phase whose model is not the entry's: the least there can be."""


@dataclass(frozen=True)
class SpeedrunPlan:
    """What is run: every entry with every seed, the baselines of their tracks among them."""

    target: SpeedrunTarget
    entries: tuple[SpeedrunEntry, ...]
    seeds: tuple[int, ...]

    @property
    def baselines(self) -> set[str]:
        """Names of the baselines of the entries' tracks."""
        return {self.target.track_of(entry).baseline for entry in self.entries}


def plan_speedrun(
    target: SpeedrunTarget,
    names: Sequence[str],
    plugins: Plugins,
    *,
    own: Sequence[SpeedrunEntry] = (),
    seeds: int | None = None,
) -> SpeedrunPlan:
    """Plan entries by name, with the baselines of their tracks.

    Args:
        target: of the entries.
        names: entries of the target or of ``own``.
        plugins: names in phases come from them.
        own: further entries, of the user.
        seeds: number of training seeds, from 0 on; None: the target's.

    Raises ConfigError for an unknown name, an invalid setting, or what the rule of a track does not allow.
    """
    known = {entry.name: entry for entry in (*target.entry, *own)}
    if unknown := next((name for name in names if name not in known), None):
        raise ConfigError(f"'{target.name}' has no entry '{unknown}'.{did_you_mean(unknown, known)}")
    tracks = {track.name: track for track in target.track}
    chosen = [known[name] for name in dict.fromkeys(names)]
    if foreign := next((entry for entry in chosen if entry.track not in tracks), None):
        raise ConfigError(f"Entry '{foreign.name}': there is no track '{foreign.track}', but {', '.join(tracks)}.")
    baselines = [known[tracks[entry.track].baseline] for entry in chosen]
    entries = tuple({entry.name: entry for entry in (*baselines, *chosen)}.values())
    for entry in entries:
        _refuse_what_the_track_forbids(target, entry, plugins)
    return SpeedrunPlan(target, entries, tuple(range(seeds or target.seeds)))


def _refuse_what_the_track_forbids(target: SpeedrunTarget, entry: SpeedrunEntry, plugins: Plugins) -> None:
    track = target.track_of(entry)
    for number, phase in enumerate(entry.phase, 1):
        spec = _plan_phase(target, phase, plugins, seed=0, init=None, is_last=number == len(entry.phase))
        if problem := _forbidden(track, spec, is_last=number == len(entry.phase)):
            raise ConfigError(f"Entry '{entry.name}', phase {number}: {problem}. Track {track.name}: {track.rule}")


def _forbidden(track: SpeedrunTrack, spec: RunSpec, *, is_last: bool) -> str:
    if is_last and track.algorithm not in (None, spec.algorithm.name):
        return f"the last phase trains by {spec.algorithm.name}, not {track.algorithm}"
    if track.backbone not in (None, spec.backbone.name):
        return f"the network is {spec.backbone.name}, not {track.backbone}"
    for name, value in track.backbone_options.items():
        if spec.backbone.options.get(name) != value:
            return f"the network has {name}={spec.backbone.options.get(name)}, not {value}"
    return ""


def run_speedrun(
    plan: SpeedrunPlan, plugins: Plugins, folders: Folders, *, resume: str | None = None
) -> Iterator[SpeedrunTrial | list[SpeedrunResult]]:
    """Yield each trial when it is done, and at the end the results.

    Args:
        plan: entries and seeds.
        plugins: names come from them, and events go to them.
        folders: where records go and data lies.
        resume: as for ``launch``: None runs everything again, since times of another day are no comparison.

    Raises RunFailedError if a phase does not finish, and what a run raises before it starts training.
    """
    meter = LoadMeter()
    trials: dict[str, list[SpeedrunTrial]] = {entry.name: [] for entry in plan.entries}
    environment = None
    launcher = make_launcher("processes", {"max_parallel": 1}, plugins)
    for seed in plan.seeds:
        for entry in plan.entries:
            records = _run_entry(plan.target, entry, seed, plugins, folders, launcher, resume)
            environment = records[-1].environment
            trial = _trial(plan.target, seed, records)
            trials[entry.name].append(trial)
            yield trial
    assert environment is not None  # there is at least one seed and one entry
    load = meter.load()
    yield [
        SpeedrunResult(
            target=plan.target.name,
            entry=entry,
            is_baseline=entry.name in plan.baselines,
            trials=tuple(trials[entry.name]),
            environment=environment,
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            beside=tuple(other.name for other in plan.entries if other != entry),
            **_describe(load),
        )
        for entry in plan.entries
    ]


def _describe(load: MachineLoad | None) -> dict[str, Any]:
    return {} if load is None else {"load": str(load), "busy": load.is_busy}


def _run_entry(  # noqa: PLR0917
    target: SpeedrunTarget,
    entry: SpeedrunEntry,
    seed: int,
    plugins: Plugins,
    folders: Folders,
    launcher: Launcher,
    resume: str | None,
) -> list[RunRecord]:
    """Run the phases of an entry, each from the model of the one before."""
    records: list[RunRecord] = []
    for number, phase in enumerate(entry.phase, 1):
        init = folders.results / f"{records[-1].name}.json" if records else None
        spec = _plan_phase(target, phase, plugins, seed=seed, init=init, is_last=number == len(entry.phase))
        (record,) = launch([spec], plugins, folders, launcher=launcher, resume=resume)
        if record.status != "finished":
            raise RunFailedError(
                f"'{entry.name}', seed {seed}, phase {number} {record.status}: {record.reason} "
                f"Record: {folders.results / record.name}.json"
            )
        records.append(record)
    return records


def _plan_phase(
    target: SpeedrunTarget, phase: SpeedrunPhase, plugins: Plugins, *, seed: int, init: Any, is_last: bool
) -> RunSpec:
    """The run of a phase: validated at its end alone, since nothing is selected; the last phase is tested in full."""
    settings = phase.model_dump(exclude={"algorithm"}, exclude_none=True)
    request = make_request(
        algorithms=(phase.algorithm,),
        dataset=target.dataset,
        ways=target.ways,
        shots=target.shots,
        queries=target.queries,
        test_episodes=target.test_episodes if is_last else LEAST_EPISODES,
        validation_episodes=LEAST_EPISODES,
        validate_every=phase.iterations,
        modes=(target.mode,),
        seed=seed,
        init=init,
        **settings,
    )
    (spec,) = plan(request, plugins)
    return spec


def _trial(target: SpeedrunTarget, seed: int, records: Sequence[RunRecord]) -> SpeedrunTrial:
    test = records[-1].test
    measured = [record.measurement for record in records]
    assert test is not None and all(measured)  # the runs have finished
    segments = [part.segments[name] for part in measured if part is not None for name in ("data", "train")]
    return SpeedrunTrial(
        seed=seed,
        score=test.modes[target.mode].score.mean,
        training_seconds=sum(segment.wall for segment in segments),
        device_seconds=sum(segment.device for segment in segments),
        records=tuple(record.name for record in records),
    )
