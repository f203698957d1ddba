"""What holds for every sampler that ships: fair, balanced and disjoint draws, in any order and on any shard."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mamlbench.api import ImageSplit
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Protocol
from mamlbench.runner.draw_episodes import draw_episodes

CLASSES, EXAMPLES = 9, 6
IMAGES = CLASSES * EXAMPLES
WAYS, SHOTS, QUERIES = 3, 2, 1
REGISTRY = load_plugins().registry
P = 1e-4
"""Least p-value; seeds are fixed, so that a test that passes goes on passing."""


def make(name, seed=0):
    """A sampler over images whose only pixel is their number."""
    images = torch.arange(IMAGES, dtype=torch.uint8).view(-1, 1, 1, 1)
    split = ImageSplit(images, np.arange(0, IMAGES + 1, EXAMPLES), tuple(map(str, range(CLASSES))))
    plugin = REGISTRY.load("sampler", name.partition(" ")[0])
    options = plugin.Options(tasks=2000) if name == "fixed-pool" else plugin.Options()
    splits = dict.fromkeys(("train", "val", "test"), split)
    return plugin(splits, WAYS, episode_seed=seed, training_seed=seed, options=options)


def draw(sampler, name, first, count):
    """The images of some episodes: support ``[count, WAYS, SHOTS]`` and query ``[count, WAYS, QUERIES]``."""
    passes = name.endswith("replacement")
    shape = Protocol(
        ways=WAYS, shots=SHOTS, queries=QUERIES, test_sampling="without-replacement" if passes else "independent"
    )
    batch = draw_episodes(sampler, "test" if passes else "train", first, count, shape)
    support, query = ((part.x * 255).round().long().numpy() for part in (batch.support, batch.query))
    return support.reshape(count, WAYS, SHOTS), query.reshape(count, WAYS, QUERIES)


SAMPLERS = ["fresh", "fresh without replacement", "fixed-pool"]
every = pytest.mark.parametrize("name", SAMPLERS)
numbers = st.lists(st.integers(0, 5000), min_size=1, max_size=6)


@every
@given(st.integers(0, 5000), st.integers(0, 3))
def test_support_and_query_share_no_image_and_every_class_has_as_many(name, first, seed):
    support, query = draw(make(name, seed), name, first, 2)
    together = np.concatenate([support, query], axis=-1)  # [2, WAYS, SHOTS + QUERIES]
    assert all(len(set(episode.ravel())) == episode.size for episode in together)
    classes = together // EXAMPLES
    assert (classes == classes[..., :1]).all(), "every way has the examples of one class"
    assert all(len(set(episode[:, 0])) == WAYS for episode in classes)


@every
@given(numbers, st.integers(1, 5))
def test_an_episode_does_not_depend_on_order_or_shard(name, asked, shards):
    whole = draw(make(name), name, min(asked), max(asked) - min(asked) + 1)
    for shard in range(shards):
        sampler = make(name)  # each worker has its own
        for number in [number for number in reversed(asked) if number % shards == shard]:
            alone = draw(sampler, name, number, 1)
            for part, parts in zip(alone, whole, strict=True):
                assert np.array_equal(part[0], parts[number - min(asked)])


@every
def test_classes_and_images_are_as_likely_as_one_another_at_every_place(name):
    support, query = draw(make(name), name, 0, 2000)
    for part in (support, query):
        for way in range(WAYS):  # one place at a time: what stands at two places excludes one another
            for place in range(part.shape[2]):
                images = np.bincount(part[:, way, place], minlength=IMAGES)
                assert stats.chisquare(images).pvalue > P
                assert stats.chisquare(images.reshape(CLASSES, EXAMPLES).sum(1)).pvalue > P


@pytest.mark.parametrize("name", ["fresh", "fixed-pool"])
def test_one_episode_says_nothing_about_the_next(name):
    support, _ = draw(make(name), name, 0, 4001)
    classes = support[:, 0, 0] // EXAMPLES
    table = np.zeros((CLASSES, CLASSES))
    np.add.at(table, (classes[:-1], classes[1:]), 1)
    assert stats.chi2_contingency(table).pvalue > P


def test_a_chi_square_test_of_a_biased_draw_fails():
    """The tests above can fail: images drawn one in ten times too often are found."""
    support, _ = draw(make("fresh"), "fresh", 0, 2000)
    biased = np.where(np.arange(2000) % 10 == 0, 0, support[:, 0, 0])
    assert stats.chisquare(np.bincount(biased, minlength=IMAGES)).pvalue < P


@pytest.mark.parametrize("name", ["fresh", "fixed-pool"])
def test_labeled_minibatches_are_uniform_over_images(name):
    sampler = make(name)
    drawn = [sampler.labeled_examples("train", number, 16) for number in range(200)]
    images = np.concatenate([(batch.x.flatten() * 255).round().long().numpy() for batch in drawn])
    labels = np.concatenate([batch.y.numpy() for batch in drawn])
    assert (labels == images // EXAMPLES).all()
    assert stats.chisquare(np.bincount(images, minlength=IMAGES)).pvalue > P


PINNED = {
    "fresh": [[6, 9, 10, 47, 43, 45, 0, 4, 5], [35, 32, 33, 44, 47, 45, 15, 12, 14]],
    "fresh without replacement": [[17, 15, 14, 43, 42, 45, 18, 21, 22], [34, 35, 33, 1, 0, 5, 40, 37, 36]],
    "fixed-pool": [[3, 0, 4, 50, 48, 49, 21, 19, 23], [24, 28, 27, 44, 43, 45, 30, 34, 31]],
}


@every
def test_draws_stay_the_same_in_every_release(name):
    """A record of an earlier release can be computed again only if the same images are drawn: episodes 7 and 8."""
    drawn = np.concatenate(draw(make(name), name, 7, 2), axis=-1)
    assert drawn.reshape(2, -1).tolist() == PINNED[name]


def test_labeled_minibatches_stay_the_same_in_every_release():
    images = (make("fresh").labeled_examples("train", 3, 8).x.flatten() * 255).round().long()
    assert images.tolist() == [25, 51, 6, 33, 19, 24, 48, 9]
