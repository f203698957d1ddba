import numpy as np
import torch

from mamlbench.api import DataPaths, Dataset, DatasetInfo, ImageSplit


def make_split(seed):
    images = torch.randint(0, 256, (4, 1, 3, 3), generator=torch.manual_seed(seed), dtype=torch.uint8)
    return ImageSplit(images, np.array([0, 2, 4]), ("a", "b"))


def test_a_data_set_is_identified_by_all_its_splits(tmp_path):
    class TwoClasses(Dataset):
        info = DatasetInfo("t", "MIT", "nobody")

        def load(self):
            return {name: make_split(seed) for name, seed in self.options.items()}

    paths = DataPaths((), tmp_path)
    first = TwoClasses({"train": 0, "val": 1, "test": 2}, paths)
    assert first.content_hash == TwoClasses({"test": 2, "val": 1, "train": 0}, paths).content_hash
    assert first.content_hash != TwoClasses({"train": 0, "val": 2, "test": 1}, paths).content_hash
    assert first.objective(5).outputs == 5
