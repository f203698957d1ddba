"""Statistics of training data for the mode 'running': what torch's networks normalize by after ``eval()``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mamlbench.api import BatchStats, Examples, InnerLoop
from mamlbench.errors import ConfigError
from mamlbench.nn.batch_norm import running_statistics
from mamlbench.run_spec import TestMode
from mamlbench.runner.build import Experiment

BATCHES = 20
"""Training batches that the statistics are the mean of: about as many as torch's running mean with momentum 0.1 has in
effect, (2 - 0.1) / 0.1 = 19."""


def measure_running_statistics(experiment: Experiment) -> BatchStats:
    """Mean and variance ``[features]`` of every batch-norm layer, over training batches, under the present parameters.

    They are those of the ``BATCHES`` batches that would follow the run's last; of a method that trains on episodes a
    batch is one episode, support and query together. So they depend on the parameters alone.

    Raises ConfigError for a method without a network that the harness can run.
    """
    algorithm = experiment.algorithm
    if not isinstance(algorithm, InnerLoop):
        name = experiment.spec.algorithm.name
        raise ConfigError(f"Algorithm '{name}' cannot be tested with running statistics: choose another --mode.")
    task = experiment.episodes("train", 0, 1, experiment.spec.protocol).support
    with torch.no_grad():
        start = algorithm.initial_state(Examples(task.x[0], task.y[0]))
        parameters = algorithm.parameters(start)
        batches = [algorithm.model.statistics(parameters, x) for x in _training_images(experiment)]
    return [
        (torch.stack([mean for mean, _ in layer]).mean(0), torch.stack([variance for _, variance in layer]).mean(0))
        for layer in zip(*batches, strict=True)
    ]


def _training_images(experiment: Experiment) -> Iterator[Tensor]:
    """Yield the inputs of each batch, ``[n, *input_shape]``."""
    training = experiment.spec.training
    for number in range(BATCHES):
        if experiment.algorithm.trains_on == "examples":
            yield experiment.training_batch(training.iterations + number).x
        else:
            first = training.iterations * training.meta_batch_size
            episode = experiment.episodes("train", first + number, 1, training)
            yield torch.cat([episode.support.x[0], episode.query.x[0]])


@contextmanager
def in_test_mode(mode: TestMode, statistics: BatchStats | None) -> Iterator[None]:
    """Make all passes normalize by ``statistics`` if the mode is 'running'; nothing otherwise."""
    if mode != "running":
        yield
        return
    assert statistics is not None
    with running_statistics(statistics):
        yield
