"""Fingerprint of code and environment, taken without importing torch."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

ABOVE_THE_RUNNER = ("bench", "report", "scaffold", "testing")
"""Packages that a run cannot import (the layers forbid it), so that they change no number of it."""
PACKAGES = ("mamlbench", "torch", "torchvision", "numpy", "learn2learn")


class Environment(BaseModel):
    """Machine and software that a run used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str
    """version"""
    platform: str
    """operating system and architecture"""
    cpu: str
    """model of the processor"""
    cores: int
    """cores that this process may use"""
    threads: int | None = None
    """threads of torch"""
    device_name: str = ""
    """name of the GPU, if any"""
    packages: dict[str, str]
    """versions of the packages that results depend on"""
    plugins: dict[str, str] = {}
    """versions by name, of those that can change a number"""
    code_hash: str
    """hash over the source of mamlbench and the plugins, as far as it can change a number"""
    git_revision: str = ""
    """of the checkout, '' outside one"""
    allocator: str = ""
    """settings of the memory allocator"""
    kernels: str = ""
    """kernels of the convolutions of many tasks at once on a CPU: compiled ones, or torch and why"""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all fields but the git revision (a commit may change no code), as 16 hexadecimal digits."""
        content = self.model_dump(exclude={"git_revision"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def software(self) -> str:
        """SHA-256 over what does not depend on the machine, as 16 hexadecimal digits."""
        content = self.model_dump(include={"python", "packages", "plugins", "code_hash"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def changes_since(self, earlier: Environment) -> list[str]:
        """Describe what differs from an earlier environment; empty if the fingerprints are equal."""
        changes = []
        for name in type(self).model_fields:
            before, now = getattr(earlier, name), getattr(self, name)
            if name == "git_revision" or before == now:
                continue
            if isinstance(now, dict):
                changes += _differences(before, now)
            else:
                changes.append("code" if name == "code_hash" else f"{name.replace('_', ' ')} {before} → {now}")
        return changes


def _differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    names = sorted(before.keys() | now.keys())
    pairs = ((name, before.get(name, "absent"), now.get(name, "absent")) for name in names)
    return [f"{name} {old} → {new}" for name, old, new in pairs if old != new]


def current_environment(
    *,
    threads: int | None = None,
    device_name: str = "",
    plugins: dict[str, str] | None = None,
    plugin_code: str = "",
    allocator: str = "",
    kernels: str = "",
) -> Environment:
    """Describe this process; the caller passes what depends on torch and on the loaded plugins."""
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu=cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=threads,
        device_name=device_name,
        packages=_versions(),
        plugins=plugins or {},
        code_hash=code_hash(plugin_code),
        git_revision=_git_revision(),
        allocator=allocator,
        kernels=kernels,
    )


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@lru_cache
def cpu_name() -> str:
    """Return the name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@lru_cache
def code_hash(plugin_code: str = "") -> str:
    """Hash the source files of the harness that a run may use, and ``plugin_code``, a hash of those of the plugins."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(plugin_code.encode())
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.c")]):
        if file.relative_to(package).parts[0] in ABOVE_THE_RUNNER:
            continue
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache
def _git_revision() -> str:
    package = Path(__file__).parents[2]
    if not (package / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(package), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
