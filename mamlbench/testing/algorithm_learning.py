"""Whether an algorithm learns."""

from __future__ import annotations

import torch
from torch import Tensor

from mamlbench.api import Algorithm, Examples
from mamlbench.testing.algorithm_subject import AlgorithmSubject
from mamlbench.testing.run_checks import Check, demand
from mamlbench.testing.tiny import QUERIES, SHOTS

ITERATIONS = 120
META_BATCH, LABELLED_BATCH = 8, 48
TEST_EPISODES = 200
STANDARD_ERRORS = 2.0


def training_beats_the_untrained(subject: AlgorithmSubject) -> None:
    """After a second of training it is clearly better on new classes than before, with the same adaptation."""
    algorithm = subject.build(dtype=torch.float32, iterations=ITERATIONS, quick=True)
    untrained = _scores(subject, algorithm)
    sampler = subject.sampler()
    for number in range(ITERATIONS):
        batch = (
            sampler.labeled_examples("train", number, LABELLED_BATCH)
            if algorithm.trains_on == "examples"
            else sampler.episodes("train", number * META_BATCH, META_BATCH, shots=SHOTS, queries=QUERIES)
        )
        algorithm.apply(algorithm.compute_update(batch))
    finite = all(bool(value.isfinite().all()) for value in algorithm.meta.values())
    demand(finite, "a meta-parameter is no longer a finite number")
    trained = _scores(subject, algorithm)
    gain = trained - untrained
    error = float(gain.std() / len(gain) ** 0.5)
    found = f"{100 * float(trained.mean()):.1f} % after training, {100 * float(untrained.mean()):.1f} % before"
    demand(float(gain.mean()) > STANDARD_ERRORS * error, f"{found} (the gain's standard error is {100 * error:.1f})")


def _scores(subject: AlgorithmSubject, algorithm: Algorithm) -> Tensor:
    """Transductive accuracy of each test episode."""
    batch = subject.sampler().episodes("test", 0, TEST_EPISODES, shots=SHOTS, queries=QUERIES)
    learner = algorithm.adapt(Examples(*batch.support), batch.keys)
    return (learner.predict(batch.query.x, "transductive").argmax(-1) == batch.query.y).float().mean(-1)


LEARNING = (
    Check(
        training_beats_the_untrained,
        "Does apply go against the gradient? Are the rates of the defaults, or of the preset 'quick', of a size that "
        "learns in a hundred iterations? 'mamlbench check NAME -o outer_lr=...' tries others.",
    ),
)
