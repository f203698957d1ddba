from __future__ import annotations

import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mamlbench.api import CachedImages, DataPaths, ImageSplit, hash64, seed_key
from mamlbench.errors import DataError
from mamlbench_plugins.datasets import glyphs
from mamlbench_plugins.datasets.glyph_classes import Alphabet, read_alphabet
from mamlbench_plugins.datasets.glyphs import FACES, Glyphs, draw_glyphs, split_of


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def alphabet() -> Alphabet:
    return read_alphabet([Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name for name in FACES])


@pytest.fixture(scope="module")
def dataset(cache: Path, alphabet: Alphabet) -> Glyphs:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glyphs, "read_alphabet", lambda fonts, progress: alphabet)  # read once, it takes seconds
        return make(cache)


def make(cache: Path, **options: object) -> Glyphs:
    return Glyphs(Glyphs.Options.model_validate(options), DataPaths((), cache, allow_download=False))


def image_split(dataset: Glyphs, name: str) -> ImageSplit:
    split = dataset.splits[name]
    assert isinstance(split, ImageSplit)
    return split


def all_images(dataset: Glyphs) -> torch.Tensor:
    splits = [image_split(dataset, name) for name in ("train", "val", "test")]
    return torch.cat([split.images[split.rows] for split in splits])


def test_splits_are_class_disjoint_and_large_enough(dataset: Glyphs) -> None:
    names = {split: set(image_split(dataset, split).class_names) for split in dataset.splits}
    assert set(names) == {"train", "val", "test"}
    assert len(set.union(*names.values())) == sum(map(len, names.values())) >= 350
    assert len(names["val"]) >= 20
    assert len(names["test"]) >= 60
    assert all(split_of(name) == split for split in names for name in names[split])


def test_every_script_has_classes_with_readable_names(dataset: Glyphs) -> None:
    names = {name for split in dataset.splits for name in image_split(dataset, split).class_names}
    assert {name.split("/")[0] for name in names} == {"Latin", "Greek", "Cyrillic", "Armenian", "Georgian"}
    assert {"Latin/small a", "Greek/capital omega", "Cyrillic/capital zhe", "Georgian/an"} <= names


def test_each_class_has_twenty_drawings_of_28_pixels(dataset: Glyphs) -> None:
    for split in dataset.splits:
        assert set(np.diff(image_split(dataset, split).offsets)) == {20}
        assert image_split(dataset, split).input_shape == (1, 28, 28)


def test_no_drawing_is_empty_clipped_or_a_repeat(dataset: Glyphs) -> None:
    images = all_images(dataset)[:, 0]
    ink = images.float().mean((1, 2)) / 255
    assert ink.min() > 0.01 and ink.max() < 0.6
    assert (images.amax((1, 2)) > 100).all(), "too thin to be seen"
    border = torch.cat([images[:, [0, -1]].flatten(1), images[:, :, [0, -1]].flatten(1)], 1)
    assert not border.any()
    assert len(np.unique(images.flatten(1).numpy(), axis=0)) > 0.999 * len(images)


def test_nearest_neighbor_on_pixels_is_not_enough(dataset: Glyphs) -> None:
    episodes = dataset.splits["test"].episodes(hash64(seed_key("nearest neighbor"), np.arange(2000)), 5, 1, 1)
    distances = torch.cdist(episodes.query.x.flatten(2), episodes.support.x.flatten(2))
    accuracy = (distances.argmin(-1) == episodes.query.y).float().mean().item()
    assert 0.40 < accuracy <= 0.60


def test_content_depends_on_the_font_files_alone(dataset: Glyphs) -> None:
    """If the hash changes unintentionally, numbers of two machines cannot be compared."""
    digest = "392a4daa40d487caab78640f0dcafcd94a61422c82aef6d018cdd13b2a8e258e"
    assert dataset.content_hash == digest, (
        "increase GENERATOR_VERSION if this is intended, and update the reference records"
    )


def test_drawn_once_then_read(dataset: Glyphs, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> CachedImages:
        pytest.fail("drawn again")

    monkeypatch.setattr(glyphs, "draw_glyphs", refuse)
    assert make(cache).content_hash == dataset.content_hash
    assert make(cache, rotations="classes").splits["test"].size == 4 * dataset.splits["test"].size
    assert make(cache, rotations="classes").content_hash != dataset.content_hash


def test_progress_is_reported(tmp_path: Path, alphabet: Alphabet) -> None:
    reports: list[tuple[str, int, int]] = []
    options = Glyphs.Options(drawings=3)
    few = Alphabet(dict(list(alphabet.classes.items())[:300]), alphabet.outlines)
    draw_glyphs(options, few, lambda *report: reports.append(report))
    assert reports == [("glyphs", 500, 900), ("glyphs", 900, 900)]


def test_more_drawings_keep_the_first_ones_and_another_seed_does_not(alphabet: Alphabet) -> None:
    few, more, other = (
        draw_glyphs(Glyphs.Options(drawings=drawings, seed=seed), alphabet)
        for drawings, seed in ((2, 0), (3, 0), (2, 1))
    )
    assert few.class_names == more.class_names == other.class_names
    first = few.images.view(-1, 2, 28, 28)
    assert torch.equal(more.images.view(-1, 3, 28, 28)[:, :2], first)
    assert not torch.equal(other.images.view(-1, 2, 28, 28), first)


def test_a_class_keeps_its_drawings_when_others_go(alphabet: Alphabet) -> None:
    names = sorted(alphabet.classes)[10:20]
    part = Alphabet({name: alphabet.classes[name] for name in names}, alphabet.outlines)
    whole = draw_glyphs(Glyphs.Options(drawings=2), alphabet)
    expected = whole.select([whole.class_names.index(name) for name in names])
    assert torch.equal(
        draw_glyphs(Glyphs.Options(drawings=2), part).images,
        expected.images[ImageSplit.from_cached_images(expected).rows],
    )


def test_missing_fonts_are_named_and_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = tmp_path / "fonts" / "ttf"
    shutil.copytree(Path(matplotlib.get_data_path()) / "fonts" / "ttf", fonts)
    (fonts / "DejaVuSerif.ttf").unlink()
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(DataError, match=r"missing: DejaVuSerif\.ttf.*reinstall matplotlib"):
        make(tmp_path)


@pytest.mark.parametrize("options", [{"drawings": 1}, {"seed": -1}, {"distortion": 3}, {"rotations": "some"}])
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Glyphs.Options.model_validate(options)


def test_every_option_is_described() -> None:
    assert all(field.description for field in Glyphs.Options.model_fields.values())
