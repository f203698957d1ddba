"""Choices made before, one small file for each machine and shape of work, in the cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from mamlbench.atomic_write import write_atomically


class AutotuneCache:
    """The choice for one kind of work.

    Args:
        folder: where choices are kept.
        facts: everything that may change which strategy is fastest: machine, software, network, shapes.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.facts = json.loads(json.dumps(facts, sort_keys=True))
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()
        self.path = folder / f"{digest[:32]}.json"

    def recall(self) -> str | None:
        """Name of the engine chosen before, if there is one. What cannot be read is as good as nothing."""
        try:
            found = json.loads(self.path.read_text())
            return str(found["engine"]) if found["facts"] == self.facts else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, engine: str) -> None:
        """Write the choice down; a folder that cannot be written costs the next run its trials, and nothing else."""
        text = json.dumps({"engine": engine, "facts": self.facts}, indent=2)
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, text.encode())
