"""The contract of an algorithm: training improves the score."""

from __future__ import annotations

import torch
from torch import Tensor

from mamlbench.api import Algorithm, Examples
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.checks import Check, ensure
from mamlbench.testing.tiny import QUERIES, SHOTS

ITERATIONS = 120
META_BATCH_SIZE, LABELED_BATCH_SIZE = 8, 48
TEST_EPISODES = 200
STANDARD_ERRORS = 2.0


def training_improves_the_score(subject: AlgorithmSubject) -> None:
    """A second of training makes the score on new classes significantly higher, with the same adaptation."""
    algorithm = subject.build(dtype=torch.float32, iterations=ITERATIONS, quick=True)
    untrained = _scores(subject, algorithm)
    sampler = subject.sampler()
    for number in range(ITERATIONS):
        batch = (
            sampler.labeled_examples("train", number, LABELED_BATCH_SIZE)
            if algorithm.trains_on == "examples"
            else sampler.episodes("train", number * META_BATCH_SIZE, META_BATCH_SIZE, shots=SHOTS, queries=QUERIES)
        )
        algorithm.apply(algorithm.compute_update(batch))
    finite = all(bool(value.isfinite().all()) for value in algorithm.meta.values())
    ensure(finite, "a meta-parameter is not finite")
    trained = _scores(subject, algorithm)
    gain = trained - untrained
    error = float(gain.std() / len(gain) ** 0.5)
    scores = f"{100 * float(trained.mean()):.1f} % after training, {100 * float(untrained.mean()):.1f} % before"
    ensure(float(gain.mean()) > STANDARD_ERRORS * error, f"{scores} (the gain's standard error is {100 * error:.1f})")


def _scores(subject: AlgorithmSubject, algorithm: Algorithm) -> Tensor:
    """Return the transductive accuracy of each test episode."""
    batch = subject.sampler().episodes("test", 0, TEST_EPISODES, shots=SHOTS, queries=QUERIES)
    learner = algorithm.adapt(Examples(*batch.support), batch.keys)
    return (learner.predict(batch.query.x, "transductive").argmax(-1) == batch.query.y).float().mean(-1)


LEARNING = (
    Check(
        training_improves_the_score,
        "Check the sign of the update in apply, and whether the default learning rates, or those of preset 'quick', "
        "suffice for a hundred iterations. 'mamlbench check NAME -o outer_lr=...' tries others.",
    ),
)
