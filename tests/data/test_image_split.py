from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mamlbench.api import Augmentation, CachedImages, ImageSplit, hash64, image_hashes, seed_key
from mamlbench.errors import ConfigError, DataError

EQUAL = (9,) * 7
UNEQUAL = (6, 11, 5, 17, 8, 5)


def make_split(sizes=EQUAL, rotations="none", side=5, seed=0):
    """A split of random images, which all differ, even if rotated."""
    images = torch.randint(0, 256, (sum(sizes), 2, side, side), generator=torch.manual_seed(seed), dtype=torch.uint8)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return ImageSplit(images, offsets, tuple(f"class {c}" for c in range(len(sizes))), rotations)


def image_index(split):
    """Map the bytes of an image to its class, row and number of quarter turns."""
    classes = np.repeat(np.arange(len(split.class_names)), np.diff(split.offsets))
    return {
        pixel_bytes(torch.rot90(image, turn, (1, 2))): SimpleNamespace(base=int(classes[row]), row=row, turn=turn)
        for row, image in enumerate(split.images)
        for turn in range(4)
    }


def pixel_bytes(x):
    pixels = x if x.dtype == torch.uint8 else (x * 255).round().to(torch.uint8)
    return pixels.contiguous().numpy().tobytes()


def keys_of(*names):
    return np.array([seed_key("test", name) for name in names], np.uint64)


def same(a, b):
    pairs = zip((*a.support, *a.query, a.keys), (*b.support, *b.query, b.keys), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


SPLITS_BY_NAME = {
    (name, rotations): make_split(sizes, rotations)
    for name, sizes in {"equal": EQUAL, "unequal": UNEQUAL}.items()
    for rotations in ("none", "episode", "classes")
}
INDEX_OF = {name: image_index(SPLITS_BY_NAME[name, "none"]) for name in ("equal", "unequal")}

splits = st.sampled_from(sorted(SPLITS_BY_NAME))
seeds = st.integers(0, 2**64 - 1)
shapes = st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(0, 2))  # ways, shots, queries; smallest class: 5


@given(splits, seeds, shapes)
def test_an_episode_has_its_shapes_labels_and_distinct_examples(name, seed, shape):
    ways, shots, queries = shape
    split, index = SPLITS_BY_NAME[name], INDEX_OF[name[0]]
    batch = split.episodes(np.array([seed], np.uint64), ways, shots, queries)
    assert batch.support.x.shape == (1, ways * shots, 2, 5, 5)
    assert batch.query.x.shape == (1, ways * queries, 2, 5, 5)
    assert batch.support.x.dtype == torch.float32
    assert batch.support.y[0].tolist() == [label for label in range(ways) for _ in range(shots)]
    assert batch.query.y[0].tolist() == [label for label in range(ways) for _ in range(queries)]

    examples = [
        (int(y), index[pixel_bytes(x)])
        for part in (batch.support, batch.query)
        for x, y in zip(part.x[0], part.y[0], strict=True)
    ]
    rows = [(image.row, image.turn) for _, image in examples]
    assert len(set(rows)) == len(rows), "an example occurs twice"
    labels_of = {}
    for label, image in examples:
        labels_of.setdefault((image.base, image.turn), set()).add(label)
    assert all(len(labels) == 1 for labels in labels_of.values()), "examples of one class have two labels"
    assert len(labels_of) == ways, "two classes of an episode are one"
    if name[1] != "classes":
        assert len({base for base, _ in labels_of}) == ways, "a class occurs twice, turned"
    assert batch.classes.shape == (1, ways) and batch.classes.dtype == torch.int64
    for (base, turn), (label,) in labels_of.items():
        turns, class_number = divmod(int(batch.classes[0, label]), len(split.class_names))
        assert class_number == base and (turns == turn if name[1] == "classes" else turns == 0)
    if name[1] == "none":
        assert {turn for _, turn in labels_of} == {0}


@given(splits, st.lists(seeds, min_size=1, max_size=5), shapes, st.randoms(use_true_random=False))
def test_an_episode_depends_on_its_key_alone(name, keys, shape, random):
    split = SPLITS_BY_NAME[name]
    keys = np.array(keys, np.uint64)
    together = split.episodes(keys, *shape)
    order = list(range(len(keys)))
    random.shuffle(order)
    for position in order:
        alone = split.episodes(keys[[position]], *shape)
        assert torch.equal(alone.support.x[0], together.support.x[position])
        assert torch.equal(alone.query.x[0], together.query.x[position])
        assert alone.keys[0] == together.keys[position]
        assert torch.equal(alone.classes[0], together.classes[position])


@given(splits, seeds, st.integers(1, 3), st.integers(1, 2))
def test_more_queries_keep_the_support_and_the_first_queries(name, seed, shots, more):
    split, key = SPLITS_BY_NAME[name], np.array([seed], np.uint64)
    few, many = split.episodes(key, 4, shots, 1), split.episodes(key, 4, shots, more)
    assert torch.equal(few.support.x, many.support.x)
    assert torch.equal(few.query.x.unflatten(1, (4, 1)), many.query.x.unflatten(1, (4, more))[:, :, :1])
    assert torch.equal(few.keys, many.keys)


@given(splits, seeds, st.integers(1, 5), st.integers(1, 3))
def test_more_ways_keep_the_first_classes(name, seed, ways, shots):
    split, key = SPLITS_BY_NAME[name], np.array([seed], np.uint64)
    few, many = split.episodes(key, ways, shots, 2), split.episodes(key, 6, shots, 2)
    assert torch.equal(few.support.x, many.support.x[:, : ways * shots])
    assert torch.equal(few.query.x, many.query.x[:, : ways * 2])


@given(st.sampled_from([name for name in sorted(SPLITS_BY_NAME) if name[1] != "none"]), seeds)
def test_rotated_images_are_what_rot90_makes_of_them(name, seed):
    split, index = SPLITS_BY_NAME[name], INDEX_OF[name[0]]
    batch = split.episodes(np.array([seed], np.uint64), 5, 2, 1)
    for x in (*batch.support.x[0], *batch.query.x[0]):
        image = index[pixel_bytes(x)]
        original = split.images[image.row].to(torch.float32) / 255
        assert torch.allclose(x, torch.rot90(original, image.turn, (1, 2)), rtol=0, atol=1e-7)


def test_rotations_of_classes_are_classes_of_their_own():
    split = SPLITS_BY_NAME["equal", "classes"]
    assert split.size == 4 * len(EQUAL) == split.objective.outputs
    batch = split.episodes(keys_of("all"), split.size, 1, 0)
    seen = {(image.base, image.turn) for image in (INDEX_OF["equal"][pixel_bytes(x)] for x in batch.support.x[0])}
    assert seen == {(base, turn) for base in range(len(EQUAL)) for turn in range(4)}


def test_rotations_drawn_per_episode_are_uniform_and_differ_between_classes():
    split, index = SPLITS_BY_NAME["equal", "episode"], INDEX_OF["equal"]
    batch = split.episodes(hash64(seed_key("turns"), np.arange(1000)), 4, 1, 0)
    turns = np.array([index[pixel_bytes(x)].turn for x in batch.support.x.flatten(0, 1)])
    assert stats.chisquare(np.bincount(turns, minlength=4)).pvalue > 1e-3
    assert (turns.reshape(1000, 4).std(axis=1) > 0).mean() > 0.95  # all four alike by chance: 1 in 64


def test_every_image_of_a_class_is_drawn_as_often_whatever_the_other_classes_hold():
    split, index = SPLITS_BY_NAME["unequal", "none"], INDEX_OF["unequal"]
    batch = split.episodes(hash64(seed_key("images"), np.arange(2000)), 3, 1, 1)
    for part in (batch.support, batch.query):
        rows = np.bincount([index[pixel_bytes(x)].row for x in part.x.flatten(0, 1)], minlength=sum(UNEQUAL))
        for c, (start, end) in enumerate(zip(split.offsets, split.offsets[1:], strict=False)):
            assert stats.chisquare(rows[start:end]).pvalue > 1e-3, f"class {c}"
        classes = np.add.reduceat(rows, split.offsets[:-1])
        assert stats.chisquare(classes).pvalue > 1e-3


def test_pixels_lie_between_zero_and_one():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    split = ImageSplit(images, np.array([0, 1, 2, 3]), ("black", "gray", "white"))
    x = split.episodes(keys_of("pixels"), 3, 1, 0).support.x.flatten()
    torch.testing.assert_close(x.sort().values, torch.tensor([0, 0.2, 1]))


def test_random_numbers_inside_a_task_have_another_key_than_the_task():
    keys = hash64(seed_key("inside"), np.arange(50))
    inside = SPLITS_BY_NAME["equal", "none"].episodes(keys, 2, 1, 1).keys.numpy().view(np.uint64)
    assert len(set(inside.tolist()) | set(keys.tolist())) == 100


@pytest.mark.parametrize("rotations", ["none", "episode", "classes"])
def test_labeled_examples_have_the_label_of_their_class(rotations):
    split, index = SPLITS_BY_NAME["unequal", rotations], INDEX_OF["unequal"]
    x, y = split.labeled_examples(seed_key("labeled"), 3000)
    images = [index[pixel_bytes(image)] for image in x]
    if rotations == "classes":
        assert y.tolist() == [image.turn * len(UNEQUAL) + image.base for image in images]
    else:
        assert y.tolist() == [image.base for image in images]
        assert {image.turn for image in images} == ({0} if rotations == "none" else {0, 1, 2, 3})
    assert stats.chisquare(np.bincount(y.numpy(), minlength=split.size)).pvalue > 1e-3
    again = split.labeled_examples(seed_key("labeled"), 10)
    assert torch.equal(again.x, x[:10])


def test_every_problem_with_the_size_is_named_at_once():
    split = SPLITS_BY_NAME["unequal", "none"]
    with pytest.raises(ConfigError) as caught:
        split.episodes(keys_of("big"), 7, 3, 3)
    assert len(caught.value.problems) == 2
    assert "7 ways" in caught.value.problems[0]
    assert "2 of 6 classes have fewer: class 2 (5), class 5 (5)" in caught.value.problems[1]
    assert split.episodes(keys_of("fits"), 6, 3, 2).tasks == 1


def test_malformed_splits_are_refused():
    images, offsets = torch.zeros(4, 1, 3, 3, dtype=torch.uint8), np.array([0, 2, 4])
    with pytest.raises(DataError, match="uint8"):
        ImageSplit(images.float(), offsets, ("a", "b"))
    with pytest.raises(DataError, match="one entry more"):
        ImageSplit(images, offsets, ("a", "b", "c"))
    with pytest.raises(DataError, match="class without images: b"):
        ImageSplit(images, np.array([0, 4, 4]), ("a", "b"))


def test_rotations_need_square_images():
    split = ImageSplit(torch.zeros(4, 1, 3, 4, dtype=torch.uint8), np.array([0, 2, 4]), ("a", "b"), "episode")
    with pytest.raises(ConfigError, match="square"):
        split.episodes(keys_of("oblong"), 2, 1, 1)


def test_the_hash_covers_pixels_names_division_and_rotations():
    split = make_split((2, 2))
    pixel = split.images.clone()
    pixel[0, 0, 0, 0] += 1
    variants = [
        split,
        ImageSplit(pixel, split.offsets, split.class_names),
        ImageSplit(split.images, split.offsets, ("class 0", "other")),
        ImageSplit(split.images, np.array([0, 1, 4]), split.class_names),
        ImageSplit(split.images, split.offsets, split.class_names, "classes"),
    ]
    assert len({variant.hash for variant in variants}) == len(variants)
    assert make_split((2, 2)).hash == split.hash
    strided = split.images.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert ImageSplit(strided, split.offsets, split.class_names).hash == split.hash


def test_a_moved_split_is_the_same_split():
    split = SPLITS_BY_NAME["unequal", "classes"]
    moved = split.to(torch.device("cpu"))
    assert moved.hash == split.hash
    assert same(moved.episodes(keys_of(1, 2), 3, 1, 1), split.episodes(keys_of(1, 2), 3, 1, 1))


# ------------------------------------------------------------------------------------- classes of a larger set


def cached_images_of(split):
    return CachedImages(split.images, split.offsets, split.class_names, {})


@given(st.permutations(range(len(UNEQUAL))), st.integers(2, len(UNEQUAL)), seeds)
def test_some_classes_of_a_set_equal_a_split_of_copied_images(order, count, seed):
    whole = SPLITS_BY_NAME["unequal", "none"]
    selected = order[:count]
    shared = ImageSplit.from_cached_images(cached_images_of(whole).select(selected), "episode")
    rows = np.concatenate([np.arange(whole.offsets[c], whole.offsets[c + 1]) for c in selected])
    copied = ImageSplit(whole.images[rows], shared.offsets, shared.class_names, "episode")
    assert shared.images is whole.images
    assert shared.class_names == tuple(whole.class_names[c] for c in selected)
    assert shared.rows.tolist() == rows.tolist()
    assert shared.hash == copied.hash
    key = np.array([seed], np.uint64)
    assert same(shared.episodes(key, 2, 2, 1), copied.episodes(key, 2, 2, 1))
    for one, other in zip(shared.labeled_examples(key[0], 20), copied.labeled_examples(key[0], 20), strict=True):
        assert torch.equal(one, other)


def test_hashes_from_the_cache_equal_those_of_the_pixels():
    whole = SPLITS_BY_NAME["unequal", "none"]
    hashed = CachedImages(whole.images, whole.offsets, whole.class_names, {}, hashes=image_hashes(whole.images.numpy()))
    assert (
        ImageSplit.from_cached_images(hashed.select([3, 1])).hash
        == ImageSplit.from_cached_images(cached_images_of(whole).select([3, 1])).hash
    )
    assert len({image_hash.tobytes() for image_hash in hashed.hashes}) == len(whole.images)


def test_a_split_moved_off_the_cpu_moves_its_own_images_only(monkeypatch):
    """The meta device stands for a GPU: its tensors have a device and a shape, but no values."""
    part = ImageSplit.from_cached_images(cached_images_of(SPLITS_BY_NAME["unequal", "none"]).select([4, 1]))
    moved = part.to(torch.device("meta"))
    assert moved.images.device.type == "meta" and len(moved.images) == UNEQUAL[4] + UNEQUAL[1]
    assert moved.rows.tolist() == list(range(len(moved.images)))
    assert moved.hash == part.hash


# ---------------------------------------------------------------------------------- normalization, augmentation


def test_normalized_channels_have_mean_zero_and_deviation_one():
    plain = make_split((300,) * 3)
    normalized = ImageSplit(plain.images, plain.offsets, plain.class_names, normalization=plain.measure_normalization())
    expected = plain.images.double() / 255
    assert normalized.normalization.mean == pytest.approx(expected.mean((0, 2, 3)).tolist())
    x, _ = normalized.labeled_examples(seed_key("normal"), 4000)
    assert x.mean((0, 2, 3)).abs().max() < 0.03
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(2), rtol=0.03, atol=0)
    key = keys_of("one")
    pair = (split.episodes(key, 2, 1, 1) for split in (plain, normalized))
    raw, ours = (batch.query.x for batch in pair)
    measured = plain.measure_normalization()
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (measured.mean, measured.deviation))
    torch.testing.assert_close(ours, (raw - mean) / deviation)


def test_a_channel_without_variation_is_not_divided_by_zero():
    flat = ImageSplit(torch.full((4, 1, 2, 2), 7, dtype=torch.uint8), np.array([0, 2, 4]), ("a", "b"))
    x = (
        ImageSplit(flat.images, flat.offsets, flat.class_names, normalization=flat.measure_normalization())
        .labeled_examples(seed_key(1), 3)
        .x
    )
    assert x.abs().max() < 1e-3


def test_augmentation_reaches_labeled_examples_only():
    plain = SPLITS_BY_NAME["equal", "none"]
    split = ImageSplit(plain.images, plain.offsets, plain.class_names, augmentation=Augmentation(crop=0.5, jitter=0.3))
    key = keys_of("augmented")
    assert same(split.episodes(key, 3, 2, 2), plain.episodes(key, 3, 2, 2))
    x, y = split.labeled_examples(key[0], 40)
    plain_x, plain_y = plain.labeled_examples(key[0], 40)
    assert torch.equal(y, plain_y) and (x - plain_x).abs().mean() > 0.05
    assert torch.equal(split.labeled_examples(key[0], 40).x, x)
    assert not torch.equal(split.labeled_examples(seed_key("another"), 40).x, x)
