"""Reads the settings of the built-in algorithms: for each method a TOML file of its name beside its module.

``[[quick]]`` and ``[[paper]]`` are lists of presets. What a table ``[shared.paper]`` holds belongs to every preset of
that list, and ``[shared."paper omniglot"]`` to those for that data set; tables inside, such as ``options``, are merged
key by key, and the lists of ``differences`` are joined.

A quick preset is for a few minutes on two CPU cores. Those for any data set were chosen by equal tuning on Omniglot
(docs/tuning.md), the same number of trials for each method; the others on validation episodes by hand, or by analogy
with one that was, as their source says. A paper preset has the paper's numbers and names what still differs;
``paper-...`` is another reading of a source, another row of its table or another paper. Inner rates of MAML's presets
are those of its code, whose loss is a sum divided by the shots (``loss_reduction = "per-shot"``): on the mean of N
classes they are N times as large.
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
        Preset(name=name, **_merged(shared.get(name, {}), shared.get(f"{name} {own.get('dataset')}", {}), own))
        for name, presets in lists.items()
        for own in presets
    )


def _merged(*layers: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if isinstance(value, dict):
                merged[key] = {**merged.get(key, {}), **value}
            else:
                merged[key] = [*merged.get(key, []), *value] if key == "differences" else value
    return merged
