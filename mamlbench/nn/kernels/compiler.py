"""Compiles the C sources for this machine, once, into the cache folder."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from mamlbench.atomic_write import replaced_when_complete
from mamlbench.user_config import KERNELS_VARIABLE, kernels_folder

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
    compiler, version = _compiler()
    path = Path(__file__).with_name(source)
    flags = [*_FLAGS, f"-DREAL={_REALS[dtype]}"]
    facts = (path.read_text(), *flags, compiler, version, _processor())
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
    compiled = folder / f"{path.stem}-{digest}.so"
    try:
        if not compiled.exists():
            _compile(compiled, [compiler, *flags, str(path)])
        return ctypes.CDLL(str(compiled))
    except OSError as error:
        raise NoKernelsError(f"{compiled.name} cannot be used: {error}") from error


def address(tensor: Tensor) -> ctypes.c_void_p:
    """Address of a contiguous tensor's values, for ctypes: any shape and dtype."""
    return ctypes.c_void_p(tensor.data_ptr())


def _compile(target: Path, command: list[str]) -> None:
    """Compile into the cache folder; several processes may do so at the same time.

    Raises OSError if the folder cannot be written, NoKernelsError if the compiler fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_complete(target) as temporary:
        for threads in (["-fopenmp"], []):  # a compiler without OpenMP makes kernels of one thread
            result = _run([*command, *threads, "-o", str(temporary), "-lm"])
            if result.returncode == 0:
                return
        message = (result.stderr.strip() or "no message").splitlines()[0]
        raise NoKernelsError(f"{Path(command[0]).name} failed: {message}")


@lru_cache
def _compiler() -> tuple[str, str]:
    """Path and version of the C compiler: the one that CC names, else cc."""
    name = os.environ.get("CC") or "cc"
    path = shutil.which(name)
    if path is None:
        raise NoKernelsError(f"no C compiler '{name}'")
    result = _run([path, "--version"])
    if result.returncode != 0:
        raise NoKernelsError(f"'{name} --version' failed")
    return path, (result.stdout.splitlines() or [""])[0]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
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
