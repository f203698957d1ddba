"""Features on disk: computed once, by one of several processes; a damaged file is computed again."""

import threading

import pytest
import torch

from mamlbench.data.encoded_split import FeatureCost
from mamlbench.errors import CacheError
from mamlbench.record.claims import ClaimWatcher
from mamlbench.runner.frozen import feature_cache
from mamlbench.runner.frozen.feature_cache import FeaturesOfSplit, cached_features, load_features


class Computes:
    """Counts how often it is called."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return FeaturesOfSplit(torch.arange(12.0).view(1, 3, 4), FeatureCost(1.5, 2.5))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "features-1.safetensors"


def test_features_are_computed_once(path):
    compute = Computes()
    first, second = (cached_features(path, compute, str) for _ in range(2))
    assert compute.calls == 1 and torch.equal(first.features, second.features)
    assert first.cost == FeatureCost(1.5, 2.5) and second.cost == FeatureCost(1.5, 2.5, cached=True)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_a_damaged_file_is_computed_again(path, place):
    compute = Computes()
    whole = cached_features(path, compute, str)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    assert torch.equal(cached_features(path, compute, str).features, whole.features) and compute.calls == 2
    path.write_bytes(content[:20])
    assert load_features(path) is None


def test_a_second_process_waits_and_takes_what_the_first_computed(path, monkeypatch):
    monkeypatch.setattr(feature_cache, "WAIT_SECONDS", 0.01)
    path.parent.mkdir()
    claim, compute, waited = ClaimWatcher().take(path), Computes(), []

    def waiting(holder):
        waited.append(holder)
        if len(waited) == 3:
            threading.Thread(target=finish).start()

    def finish():
        feature_cache._write(path, Computes()())
        claim.release()

    assert cached_features(path, compute, waiting).cost.cached
    assert compute.calls == 0 and "process" in waited[0]


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match="cannot be written"):
        cached_features(tmp_path / "file" / "features.safetensors", Computes(), str)
