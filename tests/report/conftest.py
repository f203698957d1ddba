"""Run records without runs."""

import numpy as np
import pytest

from mamlbench.record import (
    CurvePoint,
    DataFacts,
    Environment,
    Evaluation,
    Interval,
    Measurement,
    MetricResult,
    ModeResult,
    Segment,
    pack_classes,
)
from mamlbench.record import make_record as make_run_record
from mamlbench.run_spec import Component, Protocol, RunSpec, Training

ENVIRONMENT = Environment(
    python="3.11.7",
    platform="Linux x86_64",
    cpu="Test CPU",
    cores=2,
    threads=2,
    packages={"torch": "2.14.1"},
    code_hash="0123456789abcdef",
)
MEASURED = Measurement(
    segments={"train": Segment(wall=100.0, device=190.0)},
    warmup=Segment(),
    wall_seconds=125.0,
    device_seconds=230.0,
    device_clock="cpu",
    peak_memory_bytes=512 * 1024**2,
    iterations=500,
    iterations_per_second=4.0,
    examples_seen=80_000,
)


def interval(mean, half):
    return Interval(mean=mean, low=mean - half, high=mean + half)


@pytest.fixture
def make_record():
    """Make a record: ``make_record("maml", score=0.93, seed=1, queries=15, episodes=[0.8, 1.0], ...)``."""

    def make(
        algorithm="maml",
        *,
        score=0.93,
        seed=0,
        status="finished",
        reason="",
        options=None,
        preset="quick",
        split_hash="split",
        subset=None,
        environment=None,
        regression=False,
        name="",
        dataset="omniglot",
        episodes=None,
        seconds=230.0,
        iterations=500,
        validate_every=100,
        precision="float32",
        **protocol,
    ):
        if episodes is not None:  # scores of the test episodes; `score` is their mean
            episodes = [float(value) for value in episodes]
            score, protocol["test_episodes"] = sum(episodes) / len(episodes), len(episodes)
        protocol = Protocol(**protocol)
        spec = RunSpec(
            algorithm=Component(name=algorithm, options=options or {"inner_lr": 0.4}),
            dataset=Component(name=dataset),
            backbone=Component(name="conv4-strided"),
            sampler=Component(name="fresh"),
            protocol=protocol,
            preset=preset,
            seed=seed,
            precision=precision,
            training=Training(
                iterations=iterations, meta_batch_size=32, ways=5, shots=1, queries=1, validate_every=validate_every
            ),
        )
        result = ModeResult(
            score=interval(score, 0.01),
            untrained=interval(0.57, 0.02),
            gain=interval(score - 0.57, 0.02),
            episode_scores=episodes or [score] * protocol.test_episodes,
        )
        test = Evaluation(
            split="test",
            protocol=protocol,
            adaptation_steps=3,
            metrics={
                "mean squared error" if regression else "accuracy": MetricResult(
                    unit="" if regression else "%",
                    higher_is_better=not regression,
                    modes=dict.fromkeys(protocol.modes, result),
                    score_after_step=[0.2, 0.8, 0.9, score],
                )
            },
            steps_reported=[0, 1, 2, 3],
        )
        return make_run_record(
            spec,
            ENVIRONMENT.model_copy(update=environment or {}),
            status,
            name=name or f"{algorithm}-{seed}",
            reason=reason,
            started=f"2026-01-01T00:00:{seed:02d}+00:00",
            data=DataFacts(
                content_hash="data",
                split_hashes={"test": split_hash},
                split_sizes={},
                license="MIT",
                publishable=True,
                subset=subset,
            ),
            parameters=111_749,
            measurement=MEASURED.model_copy(update={"device_seconds": seconds}),
            test=test if status == "finished" else None,
        )

    return make


@pytest.fixture
def with_modes():
    """Replace the results of a record's first metric: ``with_modes(record, {"transductive": result})``."""

    def replace(record, modes):
        test = record.test
        result = test.metrics[test.metric].model_copy(update={"modes": modes})
        return record.model_copy(update={"test": test.model_copy(update={"metrics": {test.metric: result}})})

    return replace


@pytest.fixture
def with_metric():
    """Add a metric that a record reports beside its first: ``with_metric(record, "macro F1", [0.8, 0.9])``."""

    def add(record, name, scores, *, unit="%", higher_is_better=True):
        mean = sum(scores) / len(scores)
        result = ModeResult(
            score=interval(mean, 0.01),
            untrained=interval(0.25, 0.01),
            gain=interval(mean - 0.25, 0.02),
            episode_scores=scores,
            untrained_episode_scores=[0.25] * len(scores),
        )
        metric = MetricResult(
            unit=unit,
            higher_is_better=higher_is_better,
            modes=dict.fromkeys(record.test.modes, result),
            score_after_step=[0.1, mean],
        )
        curve = [
            point.model_copy(update={"validation": {**point.validation, name: mean}}) if point.validation else point
            for point in record.curve
        ]
        test = record.test.model_copy(update={"metrics": {**record.test.metrics, name: metric}})
        return record.model_copy(update={"test": test, "curve": curve})

    return add


@pytest.fixture
def with_classes():
    """Say which classes a record's episodes have, drawn from ``classes`` ones; the same for equal seeds."""

    def say(record, classes=20, seed=0):
        test = record.test
        episodes = len(next(iter(test.modes.values())).episode_scores)
        drawn = np.argsort(np.random.default_rng(seed).random((episodes, classes)), -1)[:, : test.protocol.ways]
        return record.model_copy(update={"test": test.model_copy(update={"classes": pack_classes(drawn)})})

    return say


@pytest.fixture
def make_run(make_record, with_modes):
    """Like ``make_record``, with everything that figures show: a curve, times by segment, scores per episode."""

    def make(algorithm="maml", *, score=0.93, seed=0, speed=1.0, **settings):
        record = make_record(algorithm, score=score, seed=seed, **settings)
        metric = record.test.metric if record.test is not None else "accuracy"
        curve = [
            CurvePoint(
                iteration=iteration,
                wall_seconds=iteration / 5 / speed,
                device_seconds=iteration / 3 / speed,
                validation={metric: score * (1 - 2 ** (-iteration / 100))},
            )
            for iteration in range(50, 501, 50)
        ]
        seconds = {"data": 5.0, "train": 100.0, "evaluate": 15.0, "checkpoint": 1.0, "other": 4.0}
        segments = {name: Segment(wall=wall / speed, device=wall / speed) for name, wall in seconds.items()}
        measured = MEASURED.model_copy(update={"segments": segments, "device_seconds": 230 / speed})
        test = record.test
        if test is not None:
            episodes = {"episode_scores": [score, 1.0, 0.6], "untrained_episode_scores": [0.2, 0.4, 0.6]}
            modes = {name: result.model_copy(update=episodes) for name, result in test.modes.items()}
            test = with_modes(record, modes).test
        return record.model_copy(update={"curve": curve, "measurement": measured, "test": test})

    return make
