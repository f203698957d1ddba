"""If kernels cannot be compiled, torch computes and the record has the reason."""

import os
import shutil

import pytest

SCRIPT = """
import torch
from mamlbench.nn import kernels
print(kernels.kernels_in_use())
print(kernels.available(torch.device("cpu"), torch.float32))
"""


@pytest.fixture(scope="module")
def describe(run_forked):
    """``describe(NAME=value)``: description in records and whether there are kernels, with environment variables."""

    def describe(**variables):
        done = run_forked(SCRIPT, **{name: str(value) for name, value in variables.items()})
        assert done.returncode == 0, done.stderr
        *words, available = done.stdout.splitlines()
        return "\n".join(words), available == "True"

    return describe


@pytest.fixture(scope="module")
def compiled(describe, tmp_path_factory):
    """A folder of compiled kernels, and their description in records."""
    folder = tmp_path_factory.mktemp("kernels")
    words, available = describe(MAMLBENCH_KERNELS=folder)
    if not available:
        pytest.skip(words)
    return folder, words


def test_kernels_are_compiled_once(compiled, describe):
    folder, words = compiled
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert words.startswith("compiled by") and len(times) == 2 and all(name.endswith(".so") for name in times)
    assert describe(MAMLBENCH_KERNELS=folder) == (words, True)
    assert times == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_kernels_are_stored_in_the_cache_folder_by_default(tmp_path, describe):
    if describe(MAMLBENCH_KERNELS="", MAMLBENCH_CACHE=tmp_path)[1]:
        assert list((tmp_path / "kernels").glob("*.so"))


def test_switched_off(describe):
    assert describe(MAMLBENCH_KERNELS="0") == ("torch (MAMLBENCH_KERNELS=0)", False)


def test_no_compiler(describe):
    assert describe(CC="no-such-compiler") == ("torch (no C compiler 'no-such-compiler')", False)


@pytest.mark.skipif(os.name == "nt", reason="the compiler is a shell script")
def test_a_compiler_that_fails(tmp_path, describe):
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "cc 1.0" && exit\necho "no space left" >&2\nexit 1\n')
    compiler.chmod(0o755)
    assert describe(CC=compiler, MAMLBENCH_KERNELS=tmp_path / "libraries") == (
        "torch (cc failed: no space left)",
        False,
    )
    assert not list((tmp_path / "libraries").iterdir())


def test_a_folder_that_cannot_be_written(tmp_path, describe):
    (tmp_path / "file").write_text("")
    words, available = describe(MAMLBENCH_KERNELS=tmp_path / "file")
    assert not available and (words.startswith("torch (") and ("cannot be used" in words or "no C compiler" in words))


def test_a_damaged_library(compiled, tmp_path, describe):
    folder = shutil.copytree(compiled[0], tmp_path / "kernels")
    for path in folder.iterdir():
        path.write_bytes(b"not a library")
    words, available = describe(MAMLBENCH_KERNELS=folder)
    assert not available and "cannot be used" in words
