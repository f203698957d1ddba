import numpy as np
import torch

from mamlbench.api import DataPaths, Dataset, DatasetInfo, ImageSplit


def make_pool(seed):
    images = torch.randint(0, 256, (4, 1, 3, 3), generator=torch.manual_seed(seed), dtype=torch.uint8)
    return ImageSplit(images, np.array([0, 2, 4]), ("a", "b"))


def test_a_source_is_identified_by_all_its_splits(tmp_path):
    class Source(Dataset):
        info = DatasetInfo("t", "MIT", "nobody")

        def load(self):
            return {split: make_pool(number) for split, number in self.options.items()}

    paths = DataPaths((), tmp_path)
    first = Source({"train": 0, "val": 1, "test": 2}, paths)
    assert first.content_hash == Source({"test": 2, "val": 1, "train": 0}, paths).content_hash
    assert first.content_hash != Source({"train": 0, "val": 2, "test": 1}, paths).content_hash
    assert first.objective(5).outputs == 5
