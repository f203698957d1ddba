"""If kernels cannot be compiled, torch computes and the record has the reason."""

import grp
import os
import pwd
import stat
import subprocess
from types import SimpleNamespace

import pytest

from mamlbench.atomic_write import temporary_path
from mamlbench.nn.kernels.stored_libraries import store_library, who_else_could_change

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


# ----------------------------------------------------------------------------------------- what may be loaded


def planted(folder, compiled):
    """A library in place of each compiled one, under the name that its content asks for; it leaves a mark if loaded."""
    mark = folder / "loaded"
    source = folder / "planted.c"
    source.write_text(
        f'#include <stdio.h>\n__attribute__((constructor)) void run(void) {{ fclose(fopen("{mark}", "w")); }}\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "planted.so", source], check=True)
    content = (folder / "planted.so").read_bytes()
    kernels = folder / "kernels"
    kernels.mkdir(mode=0o700)
    for path in compiled.glob("*.so"):
        name = path.name.rpartition("-")[0]
        store_library(kernels, name, content)
    assert len(list(kernels.iterdir())) == 2
    return kernels, mark


def test_a_planted_library_is_one_that_would_run(compiled, describe, tmp_path):
    """The trap of the tests below works: in a folder of this user alone, its own files are trusted."""
    kernels, mark = planted(tmp_path, compiled[0])
    describe(MAMLBENCH_KERNELS=kernels)
    assert mark.exists()


@pytest.mark.parametrize("place", ["folder", "folder above", "link to a folder"])
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_nothing_is_loaded_from_where_others_may_write(compiled, describe, tmp_path, place, mode):
    folder = tmp_path / "of others"
    folder.mkdir()
    kernels, mark = planted(folder, compiled[0])
    (kernels if place == "folder" else folder).chmod(mode)
    named = kernels
    if place == "link to a folder":
        named = tmp_path / "link"
        named.symlink_to(kernels)
    assert describe(MAMLBENCH_KERNELS=named) == (compiled[1], True)
    is_sticky_above = mode == 0o1777 and place != "folder"
    assert mark.exists() == is_sticky_above
    assert len(list(kernels.iterdir())) == 2, "nothing is left of what was compiled elsewhere"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", ["folder", "file", "folder above"])
def test_nothing_of_another_user_is_loaded(compiled, describe, tmp_path, place):
    folder = tmp_path / "of others"
    folder.mkdir()
    kernels, mark = planted(folder, compiled[0])
    for path in {"folder": [kernels], "file": kernels.iterdir(), "folder above": [folder]}[place]:
        os.chown(path, 12345, -1)
    assert describe(MAMLBENCH_KERNELS=kernels) == (compiled[1], True)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["a file that others may write", "a link", "another content", "cut", "one bit"])
def test_a_library_in_doubt_is_compiled_again(compiled, describe, tmp_path, kind):
    kernels, mark = planted(tmp_path, compiled[0])
    for path in list(kernels.iterdir()):
        content = bytearray(path.read_bytes())
        if kind == "a file that others may write":
            path.chmod(0o722)
        elif kind == "a link":
            path.rename(tmp_path / path.name)
            path.symlink_to(tmp_path / path.name)
        elif kind == "another content":
            path.rename(path.with_name(f"{path.name.rpartition('-')[0]}-{'0' * 32}.so"))
        else:
            content[len(content) // 2] ^= 1
            path.write_bytes({"cut": content[:4096], "one bit": content}[kind])
    assert describe(MAMLBENCH_KERNELS=kernels) == (compiled[1], True)
    assert not mark.exists()
    assert describe(MAMLBENCH_KERNELS=kernels) == (compiled[1], True)
    assert len(list(kernels.iterdir())) == 2 and all(
        stat.S_IMODE(path.stat().st_mode) == 0o700 for path in kernels.iterdir()
    )


def test_who_else_could_change_a_folder(tmp_path):
    assert who_else_could_change(tmp_path) is None
    tmp_path.chmod(0o757)
    assert who_else_could_change(tmp_path) == f"others may write to '{tmp_path}'"
    (tmp_path / "inner").mkdir(mode=0o700)
    assert who_else_could_change(tmp_path / "inner") == f"others may write to '{tmp_path}'"
    tmp_path.chmod(0o1757)
    assert who_else_could_change(tmp_path / "inner") is None


def test_the_group_of_one_user_is_nobody_else(tmp_path, monkeypatch):
    """Many systems give each user a group and let it write by default."""
    tmp_path.chmod(0o770)
    user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(tmp_path.stat().st_gid)
    for members, name, private in (([], user.pw_name, True), (["eve"], user.pw_name, False), ([], "lab", False)):
        known = grp.struct_group((name, "x", group.gr_gid, members))
        monkeypatch.setattr(grp, "getgrgid", lambda _, known=known: known)
        owner = SimpleNamespace(pw_gid=group.gr_gid, pw_name=user.pw_name)
        monkeypatch.setattr(pwd, "getpwuid", lambda _, owner=owner: owner)
        assert (who_else_could_change(tmp_path) is None) == private


def test_what_a_killed_compilation_left_is_removed_by_the_next(tmp_path, describe, run_forked):
    code = "import sys; from pathlib import Path; from mamlbench.atomic_write import temporary_path\n"
    done = run_forked(f"{code}temporary_path(Path({str(tmp_path)!r}, 'killed')).touch()")
    running = temporary_path(tmp_path / "running")
    running.touch()
    os.utime(running, (1, 1))
    assert done.returncode == 0 and len(list(tmp_path.iterdir())) == 2
    words, available = describe(MAMLBENCH_KERNELS=tmp_path)
    if not available:
        pytest.skip(words)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [running.name]


@pytest.mark.parametrize("text", ["cc \\303\\251 1", "cc \\377\\376 1"])
def test_a_compiler_may_say_anything(tmp_path, describe, text):
    compiler = tmp_path / "cc"
    compiler.write_text(f"""#!/bin/sh\n[ "$2" = --version ] && printf '{text}\\n' && exit\nexec cc "$@"\n""")
    compiler.chmod(0o755)
    words, available = describe(CC=f"{compiler} -g0", MAMLBENCH_KERNELS=tmp_path / "libraries")
    assert words.startswith("compiled by cc ") and available
