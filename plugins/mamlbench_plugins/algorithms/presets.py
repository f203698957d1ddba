"""Reads the settings of the built-in algorithms: for each method a TOML file of its name beside its module.

``[[quick]]`` and ``[[paper]]`` are lists of presets. What a table ``[shared.paper]`` holds belongs to every preset of
that list; tables inside, such as ``options``, are merged key by key.

A quick preset is chosen on validation episodes to be good within a few minutes on two CPU cores, or by analogy with
one that was, which its source then says. A paper preset has the paper's numbers; inner rates are those of the paper's
code, whose loss is a sum divided by the shots (``loss_reduction = "per-shot"``): on the mean of N classes they are N
times as large.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mamlbench.api import Preset


def load_presets(name: str) -> tuple[Preset, ...]:
    """Return the presets in ``NAME.toml`` in this folder, in its order."""
    lists = tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))
    shared = lists.pop("shared", {})
    return tuple(
        Preset(name=preset_name, **_merged(shared.get(preset_name, {}), settings))
        for preset_name, presets in lists.items()
        for settings in presets
    )


def _merged(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    tables = {key: {**shared[key], **value} for key, value in own.items() if isinstance(value, dict) and key in shared}
    return {**shared, **own, **tables}
