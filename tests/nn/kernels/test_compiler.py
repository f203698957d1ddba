"""Where kernels cannot be compiled, torch does the work and the record says why."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import torch
from mamlbench.nn import kernels
print(kernels.kernels_in_use())
print(kernels.available(torch.device("cpu"), torch.float32))
"""


def said(**variables):
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=True)
    *said, available = done.stdout.splitlines()
    return "\n".join(said), available == "True"


def test_they_are_compiled_once_and_kept(tmp_path):
    first, available = said(MAMLBENCH_KERNELS=tmp_path)
    if not available:
        pytest.skip(first)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert first.startswith("compiled by") and len(kept) == 2 and all(name.endswith(".so") for name in kept)
    assert said(MAMLBENCH_KERNELS=tmp_path) == (first, True)
    assert kept == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_the_cache_folder_keeps_them_unless_another_is_named(tmp_path):
    if said(MAMLBENCH_KERNELS="", MAMLBENCH_CACHE=tmp_path)[1]:
        assert list((tmp_path / "kernels").glob("*.so"))


def test_switched_off():
    assert said(MAMLBENCH_KERNELS="0") == ("torch (MAMLBENCH_KERNELS=0)", False)


def test_no_compiler():
    assert said(CC="no-such-compiler") == ("torch (no C compiler 'no-such-compiler')", False)


@pytest.mark.skipif(os.name == "nt", reason="the compiler is a shell script")
def test_a_compiler_that_fails(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "cc 1.0" && exit\necho "no space left" >&2\nexit 1\n')
    compiler.chmod(0o755)
    assert said(CC=compiler, MAMLBENCH_KERNELS=tmp_path / "kept") == ("torch (cc failed: no space left)", False)
    assert not list((tmp_path / "kept").iterdir())


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    words, available = said(MAMLBENCH_KERNELS=tmp_path / "file")
    assert not available and (words.startswith("torch (") and ("cannot be used" in words or "no C compiler" in words))


def test_a_kept_file_that_is_damaged(tmp_path):
    words, available = said(MAMLBENCH_KERNELS=tmp_path)
    if not available:
        pytest.skip(words)
    for path in tmp_path.iterdir():
        path.write_bytes(b"not a library")
    words, available = said(MAMLBENCH_KERNELS=tmp_path)
    assert not available and "cannot be used" in words
