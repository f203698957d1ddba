import hashlib
import io
import zipfile

import numpy as np
import pytest

from mamlbench.errors import ConfigError
from mamlbench.record import EpisodeFile, RunRecord, read_episodes, read_record
from mamlbench.record.episode_file import write_episodes

ARRAYS = {
    "classes": np.array([[3, 700], [0, 5]]),
    "trained/inductive/right": np.array([[2, 1], [0, 2]]),
    "targets": np.array([[-1.5, 2.0]], np.float32),
}


@pytest.fixture
def record(request):
    old = read_record(request.path.parent / "data" / "schema-1-finished.json")
    return lambda file: RunRecord.model_validate(old.model_dump() | {"name": "run", "episodes": file})


def test_arrays_come_back_and_counts_take_few_bytes(tmp_path, record):
    (tmp_path / "run").mkdir()
    file = write_episodes(tmp_path / "run", ARRAYS)
    assert file.file == "run/episodes.npz"
    arrays = read_episodes(record(file), tmp_path)
    assert arrays.keys() == ARRAYS.keys()
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], values)
    assert [arrays[name].dtype for name in ARRAYS] == [np.uint16, np.uint8, np.float32]


def test_the_same_arrays_make_the_same_file(tmp_path):
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    assert len({write_episodes(tmp_path / folder, ARRAYS).sha256 for folder in ("one", "other")}) == 1


def test_what_is_missing_changed_or_no_archive_is_refused(tmp_path, record):
    (tmp_path / "run").mkdir()
    file = write_episodes(tmp_path / "run", ARRAYS)
    with pytest.raises(ConfigError, match="kept nothing"):
        read_episodes(record(None), tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_episodes(record(EpisodeFile(file="gone.npz", sha256=file.sha256)), tmp_path)
    with pytest.raises(ConfigError, match="SHA-256 differs"):
        read_episodes(record(EpisodeFile(file=file.file, sha256="0" * 64)), tmp_path)
    (tmp_path / "text.npz").write_bytes(b"text")
    digest = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_episodes(record(EpisodeFile(file="text.npz", sha256=digest)), tmp_path)


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.npy", content)
    return out.getvalue()


def array_file(header, content=b""):
    header = header.ljust(118).encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


GOOD = zipped(a=array_file("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", bytes(8)))
DAMAGED = {
    "one bit of what is compressed": GOOD[:60] + bytes([GOOD[60] ^ 2]) + GOOD[61:],
    "an unknown compression": GOOD.replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x08", b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x63"
    ),
    "a version of zip to come": GOOD.replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\xff"),
    "cut": GOOD[:-30],
    "no array": zipped(a=b"text"),
    "a huge shape": zipped(a=array_file("{'descr': '<i4', 'fortran_order': False, 'shape': (1099511627776,), }")),
    "a negative shape": zipped(a=array_file("{'descr': '<i4', 'fortran_order': False, 'shape': (-1,), }", bytes(4))),
    "objects": zipped(a=array_file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", bytes(8))),
    "no header": zipped(a=array_file("[[[[")),
    "a deep header": zipped(a=array_file("(" * 117)),
    "a header of a megabyte": zipped(a=b"\x93NUMPY\x02\x00" + (1 << 20).to_bytes(4, "little") + b"{" * (1 << 20)),
    "more than is declared": zipped(
        a=array_file("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", bytes(9))
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_reported_in_one_line(tmp_path, record, kind):
    def read(content):
        (tmp_path / "x.npz").write_bytes(content)
        return read_episodes(record(EpisodeFile(file="x.npz", sha256=hashlib.sha256(content).hexdigest())), tmp_path)

    assert read(GOOD)["a"].tolist() == [0, 0]
    assert DAMAGED[kind] != GOOD
    with pytest.raises(ConfigError, match="cannot be read") as error:
        read(DAMAGED[kind])
    assert "\n" not in str(error.value) and len(str(error.value)) < 500
