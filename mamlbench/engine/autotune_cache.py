"""Stores the chosen engine in the cache folder: one small file for each machine and workload."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from mamlbench.atomic_write import write_atomically


class AutotuneCache:
    """The stored choice for one workload.

    Args:
        folder: where choices are stored.
        facts: everything that may change which engine is fastest: machine, software, network, shapes.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.facts = json.loads(json.dumps(facts, sort_keys=True))
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()
        self.path = folder / f"{digest[:32]}.json"

    def load(self) -> str | None:
        """Return the name of the stored engine; None if there is none, or if the file cannot be read."""
        try:
            stored = json.loads(self.path.read_text())
            return str(stored["engine"]) if stored["facts"] == self.facts else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store(self, engine: str) -> None:
        """Store a choice. If the folder cannot be written, nothing is stored and the next run repeats the trials."""
        text = json.dumps({"engine": engine, "facts": self.facts}, indent=2)
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, text.encode())
