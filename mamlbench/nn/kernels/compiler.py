"""Compiles the C sources for this machine, once, into the cache folder."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from mamlbench.atomic_write import remove_abandoned, temporary_path
from mamlbench.nn.kernels.stored_libraries import store_library, stored_library, who_else_could_change
from mamlbench.user_config import KERNELS_VARIABLE, kernels_folder

LOG = logging.getLogger(__name__)

_FLAGS = ("-O3", "-march=native", "-fno-trapping-math", "-std=c11", "-fPIC", "-shared")
_SECONDS = 120  # limit of a compilation, which takes one or two
_REALS = {torch.float32: "float", torch.float64: "double"}
_SOURCES = ("convolution.c", "norm.c")


class NoKernelsError(Exception):
    """There are no kernels on this machine; the message says why, in a few words."""


@lru_cache
def kernels_in_use() -> str:
    """What computes convolutions of many tasks on a CPU, for records: these kernels, or torch and the reason."""
    try:
        _, version = _compiler()
        for source in _SOURCES:
            library(source, torch.float32)
    except NoKernelsError as error:
        return f"torch ({error})"
    return f"compiled by {version}"


@lru_cache
def available(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernels can be used for tensors of this type on this device."""
    return device.type == "cpu" and dtype in _REALS and kernels_in_use().startswith("compiled")


@lru_cache
def library(source: str, dtype: torch.dtype) -> ctypes.CDLL:
    """Load the functions of a C file of this folder for one dtype; compile them if they are not in the cache.

    Raises NoKernelsError if kernels are switched off, or cannot be compiled or loaded.
    """
    folder = kernels_folder()
    if folder is None:
        raise NoKernelsError(f"{KERNELS_VARIABLE}=0")
    name, command = _build(source, dtype)
    try:
        return _load(folder, name, command)
    except OSError as error:
        raise NoKernelsError(f"{Path(source).stem} cannot be used: {error}") from error


def kernels_to_compile() -> bool:
    """Whether the next use of kernels compiles them first, which takes some seconds: on the first run on a machine."""
    folder = kernels_folder()
    if folder is None:
        return False
    try:
        names = [_build(source, torch.float32)[0] for source in _SOURCES]
    except NoKernelsError:
        return False
    return not all(any(folder.glob(f"{name}-*.so")) for name in names)


def _build(source: str, dtype: torch.dtype) -> tuple[str, list[str]]:
    """Name of the library of a C file for one dtype, and the command that compiles it, without its output."""
    compiler, version = _compiler()
    path = Path(__file__).with_name(source)
    flags = [*_FLAGS, f"-DREAL={_REALS[dtype]}"]
    facts = (path.read_text(encoding="utf-8"), *flags, *compiler, version, _processor())
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
    return f"{path.stem}-{digest}", [*compiler, *flags, str(path)]


def _load(folder: Path, name: str, command: list[str]) -> ctypes.CDLL:
    """Load a library from the cache folder, or, if others could plant one there, one that is compiled on the spot.

    Raises OSError if a folder or library cannot be used, NoKernelsError if the compiler fails.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if who := who_else_could_change(folder):
        _warn_of_doubt(folder, who)
        with tempfile.TemporaryDirectory(prefix="mamlbench-kernels-", ignore_cleanup_errors=True) as private:
            if who := who_else_could_change(Path(private)):
                raise NoKernelsError(f"no folder of this user's own: {who}")
            return ctypes.CDLL(str(_compile(Path(private), name, command)))
    stored = stored_library(folder, name)
    if stored is not None:
        LOG.info("Kernels from the cache: %s.", stored)
    return ctypes.CDLL(str(stored or _compile(folder, name, command)))


@lru_cache
def _warn_of_doubt(folder: Path, who: str) -> None:
    """Warn once in a process: to compile takes a second or two."""
    LOG.warning(
        "The kernels in '%s' are not used but compiled again, because %s: 'chmod go-w' it, or name a folder of your "
        "own with %s.",
        folder,
        who,
        KERNELS_VARIABLE,
    )


def address(tensor: Tensor) -> ctypes.c_void_p:
    """Address of a contiguous tensor's values, for ctypes: any shape and dtype."""
    return ctypes.c_void_p(tensor.data_ptr())


def _compile(folder: Path, name: str, command: list[str]) -> Path:
    """Compile into a folder; several processes may do so at the same time.

    Raises OSError if the folder cannot be written, NoKernelsError if the compiler fails.
    """
    LOG.info("Compiling the kernels %s for this machine.", name)
    remove_abandoned(folder)
    temporary = temporary_path(folder / name)
    try:
        for threads in (["-fopenmp"], []):  # a compiler without OpenMP makes kernels of one thread
            result = _run([*command, *threads, "-o", str(temporary), "-lm"])
            if result.returncode == 0:
                return store_library(folder, name, temporary.read_bytes())
    finally:
        temporary.unlink(missing_ok=True)
    message = (result.stderr.strip() or "no message").splitlines()[0]
    raise NoKernelsError(f"{Path(command[0]).name} failed: {message}")


@lru_cache
def _compiler() -> tuple[tuple[str, ...], str]:
    """Command and version of the C compiler: the one that CC names, with options if it has any, else cc."""
    name, *options = shlex.split(os.environ.get("CC", "")) or ["cc"]
    path = shutil.which(name)
    if path is None:
        raise NoKernelsError(f"no C compiler '{name}'")
    result = _run([path, *options, "--version"])
    if result.returncode != 0:
        raise NoKernelsError(f"'{name} --version' failed")
    return (path, *options), (result.stdout.splitlines() or [""])[0]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoKernelsError(f"{Path(command[0]).name} failed: {error}") from error


def _processor() -> str:
    """What ``-march=native`` depends on: a cache folder may be shared by several machines."""
    facts = f"{sys.platform} {platform.machine()} {platform.processor()}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return facts
    return " ".join([facts, *sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})])
