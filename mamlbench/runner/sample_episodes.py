"""Sample episodes for the HTML page: their images, and the predictions before and after adaptation."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from mamlbench.api import Algorithm, Classification, EpisodeBatch
from mamlbench.atomic_write import write_atomically
from mamlbench.record.sample_sheet import SAMPLES, TEXT_KEY, SampleEpisode, Samples
from mamlbench.run_spec import Protocol
from mamlbench.runner.build import Experiment
from mamlbench.runner.running_statistics import in_test_mode, measure_running_statistics
from mamlbench.runner.shuffled_episodes import ShuffledTasks, adaptation_to_shuffled
from mamlbench.runner.sized_tasks import by_size

EPISODES = 2
"""The first ones of the test split, the same for every algorithm and training seed."""
PER_CLASS = 2
"""Most support images, and most query images, of each class."""
CLASSES = 20
"""Most classes of an episode."""


def save_samples(experiment: Experiment, algorithm: Algorithm, folder: Path) -> Path | None:
    """Write the image sheet of sample episodes into ``folder``.

    Returns None if examples are not images with classes.
    """
    protocol = experiment.spec.protocol
    numbers, protocol = _numbers(experiment, protocol)
    batch = experiment.episodes_of("test", numbers, protocol)
    if (
        not isinstance(experiment.objective, Classification)
        or batch.query.x.ndim != 5
        or batch.query.x.shape[2] not in (1, 3)
    ):
        return None
    mode = protocol.modes[0]
    statistics = measure_running_statistics(experiment) if mode == "running" else None
    with in_test_mode(mode, statistics), experiment.sized([protocol]):
        before, after = _predictions(algorithm, batch, mode)
    # in the order of the classes: labels may be wrong on purpose
    clean = experiment.episodes_of("test", numbers, protocol.model_copy(update={"label_noise": 0.0}))
    episodes, lines = [], []
    for task in range(batch.tasks):
        support, query = _first_of_each_class(clean.support.y[task]), _first_of_each_class(batch.query.y[task])
        episodes.append(
            SampleEpisode(
                number=numbers[task],
                support=batch.support.y[task, support].tolist(),
                query=batch.query.y[task, query].tolist(),
                before=None if before is None else before[task, query].tolist(),
                after=after[task, query].tolist(),
            )
        )
        lines.append(torch.cat([batch.support.x[task, support], batch.query.x[task, query]]))  # [n, C, H, W]
    samples = Samples(mode=mode, episodes=episodes)
    path = folder / SAMPLES
    write_atomically(path, _png(torch.stack(lines), samples))
    return path


def _numbers(experiment: Experiment, protocol: Protocol) -> tuple[Sequence[int], Protocol]:
    """Numbers of the shown episodes, and their size; if sizes vary, those that have the size of the first episode."""
    if not protocol.sizes_vary:
        return range(EPISODES), protocol
    by_sizes = by_size(experiment.sampler, "test", protocol, range(protocol.test_episodes))
    shape, numbers = next((shape, numbers) for shape, numbers in by_sizes if 0 in numbers)
    return numbers[:EPISODES], shape


def _predictions(algorithm: Algorithm, batch: EpisodeBatch, mode: str) -> tuple[Tensor | None, Tensor]:
    """Labels ``[T, n]`` predicted before the first step (None for a method without steps) and after the last one."""
    first = last = None
    for adapted in adaptation_to_shuffled(algorithm, [batch]):
        if first is None:
            first = _classes(algorithm, adapted, mode)
        else:
            last = adapted
    assert first is not None  # adaptation yields at least the tasks before the first step
    if last is None:
        return None, first
    return first, _classes(algorithm, last, mode)


def _classes(algorithm: Algorithm, adapted: ShuffledTasks, mode: str) -> Tensor:
    """Predicted labels ``[T, n]``, of the classes of the episodes: a network may have more outputs."""
    (outputs,) = adapted.predict(mode)
    return outputs[..., : algorithm.objective.outputs].argmax(-1)


def _first_of_each_class(labels: Tensor) -> list[int]:
    """Indices of the first examples of each class."""
    count: Counter[int] = Counter()
    indices = []
    for index, label in enumerate(labels.tolist()):
        count[label] += 1
        if label < CLASSES and count[label] <= PER_CLASS:
            indices.append(index)
    return indices


def _png(images: Tensor, samples: Samples) -> bytes:
    """Encode images ``[episodes, n, C, H, W]`` as one sheet, each channel scaled to its range in the sheet."""
    images = images.detach().float().cpu()
    low, high = images.amin((0, 1, 3, 4), keepdim=True), images.amax((0, 1, 3, 4), keepdim=True)
    scaled = (255 * (images - low) / (high - low).clamp_min(1e-12)).round().to(torch.uint8)
    episodes, count, channels, height, width = scaled.shape
    sheet = scaled.permute(0, 3, 1, 4, 2).reshape(episodes * height, count * width, channels)
    text = PngInfo()
    text.add_text(TEXT_KEY, samples.model_dump_json())
    out = io.BytesIO()
    Image.fromarray(sheet.squeeze(-1).numpy()).save(out, "PNG", optimize=True, pnginfo=text)
    return out.getvalue()
