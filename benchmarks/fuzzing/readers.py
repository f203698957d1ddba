"""The readers of what comes from outside, each with small valid inputs."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from mamlbench.api import ImageFormat
from mamlbench.data.image_decoding import ImageFile, decode_images
from mamlbench.data.progress import no_progress
from mamlbench.record import current_environment, make_record, read_record
from mamlbench.record.episode_file import read_episodes
from mamlbench.record.run_record import EpisodeFile
from mamlbench.run_spec import Component, Protocol, RunSpec, Training
from mamlbench.runner.checkpoints import load_model
from mamlbench.runner.component_options import read_options
from mamlbench.suite import expand, read_suite
from mamlbench.user_config import find_user_config
from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.datasets.archives import ArchiveStore
from mamlbench_plugins.datasets.folder_files import split_by_table
from mamlbench_plugins.datasets.safe_unpickle import load_plain_pickle
from mamlbench_plugins.datasets.tables import decode_table, read_table


@dataclass
class Reader:
    """A reader: ``read(content, folder)`` reads one input, in a folder that it may write to.

    ``make_valid`` makes valid inputs; ``prepare`` does so once and reads them, which loads what reading needs.
    """

    name: str
    read: Callable[[bytes, Path], object]
    make_valid: Callable[[], list[bytes]]
    valid: list[bytes] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the valid inputs."""
        self.valid = self.valid or self.make_valid()


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def reading(content: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(content)
        return read(path)

    return reading


# --------------------------------------------------------------------------------------- records, suites, settings


def _spec() -> RunSpec:
    part = Component(name="glyphs", options={"width": 4, "polarity": None})
    training = Training(iterations=1, meta_batch_size=1, ways=5, shots=1, queries=1, validate_every=1)
    return RunSpec(
        algorithm=Component(name="maml", options={"inner_lr": 0.4}),
        dataset=part,
        backbone=part,
        sampler=part,
        protocol=Protocol(),
        training=training,
        preset="quick",
    )


def _records() -> list[bytes]:
    record = make_record(_spec(), current_environment(), "finished", attempt=1, started="2026-01-01T00:00:00Z")
    stored = sorted((Path(__file__).parents[2] / "tests" / "record" / "data").glob("*.json"))
    return [record.model_dump_json(indent=1).encode(), *(path.read_bytes() for path in stored)]


SUITES = [
    b'algorithm = ["maml", "reptile"]\nshots = [1, 5]\nseeds = 3\n\n[options]\ninner_lr = [0.1, 0.4]\n\n[[override]]\n'
    b"when = {algorithm = \"maml\"}\niterations = 10\n\n[[exclude]]\nshots = 5\nalgorithm = 'reptile'\n",
    b'name = "caf\xc3\xa9"\nsummary = """\nlong"""\nalgorithm = "maml"\nseed = [0, 2]\n[[include]]\nways = 20 # more\n'
    b"test_until = 1e-2\nmodes = ['inductive']\n",
]

CONFIGS = [
    b'data_dir = "data"\nplugins = ["mine.py"]\ntrackers = ["tensorboard"]\n[compare]\nfail = ["accuracy:-1pp"]\n'
]

OPTIONS = [
    b"inner_lr=0.1",
    b"train_steps=5",
    b"outer_lr=1e-3",
    b"adapt_norm=true",
    b"clip=none",
    b'outer_optimizer="adam"',
]


def _read_config(content: bytes, folder: Path) -> object:
    (folder / "mamlbench.toml").write_bytes(content)
    return find_user_config(folder)


def _read_option(content: bytes, folder: Path) -> object:
    name, _, value = content.decode("utf-8", "surrogateescape").partition("=")  # as Python decodes arguments
    return read_options("algorithm", MAML, "maml", {name: value})


# ------------------------------------------------------------------------------------------------ models, episodes

_PARTS = b"\n---- tensors ----\n"


def _models() -> list[bytes]:
    tensors = save({"meta.w": torch.arange(6.0).reshape(2, 3), "meta.n": torch.tensor(3)}, {"iteration": "1"})
    description = {"spec": _spec().model_dump(mode="json"), "iteration": 1, "tensors": "model.safetensors"}
    return [json.dumps(description, indent=1).encode() + _PARTS + tensors]


def _read_model(content: bytes, folder: Path) -> object:
    description, _, tensors = content.partition(_PARTS)
    (folder / "model.json").write_bytes(description)
    (folder / "model.safetensors").write_bytes(tensors)
    return load_model(folder)


def _episodes() -> list[bytes]:
    out = io.BytesIO()
    np.savez_compressed(out, classes=np.arange(20).reshape(4, 5), right=np.ones((4, 5), np.uint8), text=np.array(["é"]))
    return [out.getvalue()]


def _read_episodes(content: bytes, folder: Path) -> object:
    (folder / "episodes.npz").write_bytes(content)
    record = make_record(_spec(), current_environment(), "finished", attempt=1, started="2026-01-01T00:00:00Z")
    file = EpisodeFile(file="episodes.npz", sha256=hashlib.sha256(content).hexdigest())
    return read_episodes(record.model_copy(update={"episodes": file}), folder)


# ----------------------------------------------------------------------------------------------------------- data

FILES = {f"train/{name}/{number}.png": b"\x89PNG" * number * 40 for name in ("cat", "dög") for number in range(3)}


def _zips() -> list[bytes]:
    valid = []
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.mkdir("train")
            for name, content in FILES.items():
                archive.writestr(name, content)
        valid.append(out.getvalue())
    return valid


def _tars(*formats: int) -> list[bytes]:
    valid = []
    for kind in formats or (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
            for name, content in {**FILES, f"train/{'long' * 20}/{'name' * 15}.png": b"x"}.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        valid.append(out.getvalue()[: -10240 % 512 or None])
    return valid


def _compressed_tars() -> list[bytes]:
    (content,) = _tars(tarfile.PAX_FORMAT)
    return [gzip.compress(content), bz2.compress(content), lzma.compress(content)]


def _read_archive(path: Path) -> object:
    store = ArchiveStore(path)
    return list(store.read(store.names()))


TABLES = [
    b'filename,label\na.jpg,n1\n"b, c.jpg",n2\n',
    b"\xef\xbb\xbf,label,filename\r\n0,n1,a.jpg\r\n1,n2,caf\xc3\xa9.jpg\r\n",
    b"class,split\nowl,train\ncat,val\ndog,test\n",
]


def _read_tables(content: bytes, folder: Path) -> object:
    if content.startswith(b"class"):
        return split_by_table(("owl", "cat", "dog"), "split.csv", decode_table(content, "'split.csv'"))
    return read_table(content, "'train.csv'", ("filename", "label"))


def _pickles() -> list[bytes]:
    pixels = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    data = {
        "image_data": pixels,
        "class_dict": OrderedDict(n1=[0], n2=np.array([0])),
        "t": ("é", b"x", 2**70, 1.5, None),
    }
    return [pickle.dumps(data, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]


def _images() -> list[bytes]:
    pixels = np.arange(16 * 20 * 3, dtype=np.uint8).reshape(16, 20, 3)
    valid = []
    for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF"):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, kind)
        valid.append(out.getvalue())
    return valid


def _read_image(content: bytes, folder: Path) -> object:
    return list(decode_images([ImageFile(0, "x.png", content)], ImageFormat(8), 1, "images", no_progress))


def _read_pickle(content: bytes, folder: Path) -> Any:
    return load_plain_pickle(io.BytesIO(content), "x.pkl")


READERS = (
    Reader("records", _file("run.json", read_record), _records),
    Reader("suites", _file("study.toml", lambda path: expand(read_suite(path))), lambda: SUITES),
    Reader("mamlbench.toml", _read_config, lambda: CONFIGS),
    Reader("options", _read_option, lambda: OPTIONS),
    Reader("models", _read_model, _models),
    Reader("episode files", _read_episodes, _episodes),
    Reader("zip archives", _file("x.zip", _read_archive), _zips),
    Reader("tar archives", _file("x.tar", _read_archive), _tars),
    Reader("packed tars", _file("x.tar.gz", _read_archive), _compressed_tars),
    Reader("tables", _read_tables, lambda: TABLES),
    Reader("pickles", _read_pickle, _pickles),
    Reader("images", _read_image, _images),
)
"""All readers, in the order in which they are fuzzed."""
