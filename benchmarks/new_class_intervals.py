"""How often 95 % intervals cover the accuracy on classes that were not tested, on real images.

    python benchmarks/new_class_intervals.py --data-dir DATA [--splits 1000] [--episodes 600] [--sets omniglot ...]

The classes of a data set are cut into five parts. On each, two prototypical networks of four convolutions are trained
for 200 iterations (they differ in their seed), and the classes of the other four parts are cut at random into test
classes and fresh ones, 1,000 times over the five parts. On 5-way 1-shot episodes of the test classes (five queries per
class) four numbers get both intervals: the accuracy of the first network, its gain over the network before training,
its difference from the second network, and from the nearest prototype of the images themselves, averaged over squares
of pixels. The truth is the same number on the fresh classes, from tens of thousands of episodes.

Printed, in percent of the splits: how often it is covered by the interval over episodes (*today*), by that for new
classes as it is printed, and by that for new classes with the chance in the fresh ones added (*fresh*): there are not
infinitely many of them, so that their mean differs from that of all possible classes as well. Then the ratio of the
mean squared half-widths of both, and of the mean estimated variance to that of the differences between estimate and
truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from mamlbench.api import DataPaths
from mamlbench.shared_classes import shared_classes
from mamlbench.student_t import Array, t_quantile
from mamlbench_plugins.datasets.miniimagenet import MiniImageNet
from mamlbench_plugins.datasets.omniglot import Omniglot

WAYS, QUERIES = 5, 5
PARTS, ITERATIONS = 5, 200
TRUTH_EPISODES = 200_000
AT_ONCE = 1000
SETS: dict[str, tuple[type, int, int, tuple[int, ...]]] = {  # plugin, pooling, ways in training, test classes
    "omniglot": (Omniglot, 1, 20, (20, 100, 400)),
    "miniimagenet": (MiniImageNet, 3, 10, (20, 40)),
}
QUANTITIES = ("accuracy", "gain", "difference (seeds)", "difference (pixels)")
Classes = NDArray[np.int64]


class Pool(NamedTuple):
    """Images of all classes of a data set, class after class."""

    images: Tensor
    """float32 ``[n, C, 28, 28]``."""
    starts: Classes
    size: int
    """Images of each class."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.starts)


def load(name: str, folder: Path, cache: Path) -> Pool:
    """Load a data set with all its splits, averaged over squares of pixels to 28 x 28."""
    plugin, pooling, *_ = SETS[name]
    dataset = plugin(plugin.Options(), DataPaths((("--data-dir", folder),), cache, allow_download=False))
    parts: list[Tensor] = []
    sizes: list[int] = []
    for split in dataset.splits.values():
        parts.append(F.avg_pool2d(split.images[torch.from_numpy(split.rows)].float() / 255, pooling))
        sizes += split.sizes.tolist()
    assert len(set(sizes)) == 1, "classes of equal size"
    return Pool(torch.cat(parts), np.arange(len(sizes)) * sizes[0], sizes[0])


def make_network(channels: int, seed: int) -> nn.Sequential:
    """Make four convolutions with stride 2, batch norm and ReLU: 28 x 28 to 128 features."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs in (channels, 32, 32, 32):
        layers += [nn.Conv2d(inputs, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32, momentum=None), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


def features(network: nn.Module, images: Tensor) -> Array:
    """Compute the features of all images, with batch-norm statistics of a sample of them."""
    network.train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
    with torch.no_grad():
        network(images[:: max(1, len(images) // 2000)])
        network.eval()
        return torch.cat([network(chunk) for chunk in images.split(2000)]).numpy()


def train(network: nn.Module, pool: Pool, classes: Classes, ways: int, generator: Generator) -> None:
    """Train a prototypical network on 1-shot episodes of these classes."""
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    labels = torch.arange(ways).repeat_interleave(QUERIES)
    for _ in range(ITERATIONS):
        rows = draw_images(pool, generator.choice(classes, ways, replace=False)[None], generator)[0]
        outputs = network(pool.images[torch.from_numpy(rows.ravel())]).view(ways, 1 + QUERIES, -1)
        distances = torch.cdist(outputs[:, 1:].flatten(0, 1), outputs[:, 0]) ** 2
        loss = F.cross_entropy(-distances / outputs.shape[-1] * 32, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def draw_images(pool: Pool, classes: Classes, generator: Generator) -> Classes:
    """Draw different images of classes ``[E, ways]``: rows ``[E, ways, 1 + QUERIES]``, the support first."""
    count = 1 + QUERIES
    images = np.argsort(generator.random((*classes.shape, pool.size), dtype=np.float32), -1)[..., :count]
    return pool.starts[classes][..., None] + images


def draw_scores(
    pool: Pool, models: list[Array], classes: Classes, episodes: int, generator: Generator
) -> tuple[Classes, Array]:
    """Draw episodes of these classes: the classes of each ``[E, ways]``, and the four quantities ``[4, E]``."""
    in_episodes, scores = [], []
    for first in range(0, episodes, AT_ONCE):
        count = min(AT_ONCE, episodes - first)
        ranks = generator.random((count, len(classes)), dtype=np.float32)
        drawn = classes[np.argpartition(ranks, WAYS - 1, -1)[:, :WAYS]]
        rows = draw_images(pool, drawn, generator)
        trained, untrained, other, pixels = (accuracies(model, rows) for model in models)
        in_episodes.append(drawn)
        scores.append(np.stack([trained, trained - untrained, trained - other, trained - pixels]))
    return np.concatenate(in_episodes), np.concatenate(scores, -1)


def accuracies(model: Array, rows: Classes) -> Array:
    """Label queries by the nearest support image in a space of features: accuracies ``[E]``."""
    support = model[rows[:, :, 0]]  # [E, ways, features]
    queries = model[rows[:, :, 1:].reshape(len(rows), -1)]  # [E, ways * QUERIES, features]
    distances = (support**2).sum(-1)[:, None] - 2 * queries @ support.transpose(0, 2, 1)
    right: Array = (distances.argmin(-1) == np.repeat(np.arange(WAYS), QUERIES)).mean(-1)
    return right


class Split(NamedTuple):
    """What one split into test classes and fresh ones gave, each ``[4]``."""

    error: Array
    """Estimate minus truth."""
    today: Array
    """Variance over episodes."""
    new: Array
    """Variance for new classes."""
    fresh: Array
    """The same, with that of the fresh classes."""
    df: Array


def splits(
    pool: Pool, models: list[Array], untrained_on: Classes, test: int, *, episodes: int, generator: Generator
) -> Iterator[Split]:
    """Split the classes that no network was trained on, again and again."""
    bank, bank_scores = draw_scores(pool, models, untrained_on, TRUTH_EPISODES, generator)
    while True:
        tested = generator.choice(untrained_on, test, replace=False)
        is_tested = np.zeros(pool.classes, bool)
        is_tested[tested] = True
        truth = bank_scores[:, ~is_tested[bank].any(-1)]
        in_episodes, scores = draw_scores(pool, models, tested, episodes, generator)
        shared = shared_classes(in_episodes)
        assert shared is not None
        variance = shared.variance_of_mean(scores)
        between = variance.total - variance.over_episodes
        of_fresh = between * WAYS**2 / (len(untrained_on) - test) / shared.mean_overlap
        of_fresh = of_fresh + truth.var(-1) / truth.shape[-1]
        yield Split(
            scores.mean(-1) - truth.mean(-1),
            variance.over_episodes,
            variance.total,
            variance.total + of_fresh,
            variance.degrees_of_freedom,
        )


def report(name: str, test: int, results: list[Split], episodes: int) -> None:
    """Print one line per quantity."""
    error, today, new, fresh, df = (np.stack(values) for values in zip(*results, strict=True))
    critical, critical_today = t_quantile(0.975, df), t_quantile(0.975, episodes - 1)
    covered = [
        100 * np.mean(np.abs(error) < half, 0)
        for half in (critical_today * np.sqrt(today), critical * np.sqrt(new), critical * np.sqrt(fresh))
    ]
    wider = np.sqrt(np.mean(critical**2 * new, 0) / np.mean(critical_today**2 * today, 0))
    ratio = fresh.mean(0) / (error**2).mean(0)
    for index, quantity in enumerate(QUANTITIES):
        shares = "".join(f"{share[index]:8.1f}" for share in covered)
        print(f"{name:12} {test:4}  {quantity:20}{shares}{wider[index]:9.2f}{ratio[index]:9.2f}", flush=True)


def main() -> None:
    """Train, split, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--splits", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    print("data set  classes  quantity               today     new   fresh   wider  variance")
    for name in settings.sets:
        pool = load(name, settings.data_dir, settings.cache)
        generator = np.random.default_rng(settings.seed)
        order = generator.permutation(pool.classes)
        pixels = F.adaptive_avg_pool2d(pool.images, 7 if pool.images.shape[1] == 3 else 14).flatten(1).numpy()
        results: dict[int, list[Split]] = {test: [] for test in SETS[name][3]}
        for part in range(PARTS):
            networks = [make_network(pool.images.shape[1], 10 * part + seed) for seed in (0, 1)]
            untrained = features(networks[0], pool.images)
            for network in networks:
                train(network, pool, order[part::PARTS], SETS[name][2], generator)
            first, second = (features(network, pool.images) for network in networks)
            others = np.setdiff1d(order, order[part::PARTS])
            for test, of_test in results.items():
                models = [first, untrained, second, pixels]
                drawn = splits(pool, models, others, test, episodes=settings.episodes, generator=generator)
                of_test += [next(drawn) for _ in range(settings.splits // PARTS)]
        for test, of_test in results.items():
            report(name, test, of_test, settings.episodes)


if __name__ == "__main__":
    main()
