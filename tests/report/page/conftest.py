"""Artifacts of runs, without runs."""

import json

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo


@pytest.fixture
def artifact(tmp_path):
    """Write a record's sheet of sample episodes: ``artifact("maml-0")`` returns the record's file."""

    def write(name, after=(0, 1), text=None, size=(32, 16), before=(1, 1)):
        folder = tmp_path / name
        folder.mkdir()
        facts = {"support": [0, 1], "query": [0, 1], "before": list(before), "after": list(after)}
        facts = {"mode": "transductive", "episodes": [facts | {"number": 0}, facts | {"number": 1}]}
        chunk = PngInfo()
        chunk.add_text("mamlbench", json.dumps(facts) if text is None else text)
        pixels = np.arange(size[0] * size[1]).astype(np.uint8).reshape(size[1], size[0])
        Image.fromarray(pixels).save(folder / "episodes.png", pnginfo=chunk)
        return tmp_path / f"{name}.json"

    return write
