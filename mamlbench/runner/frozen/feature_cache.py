"""Cache of features: one safetensors file per split and encoder, written completely or not at all.

Of several processes that need the same features one computes them and the others wait for it: it holds a claim on the
file. A process that is killed leaves nothing that counts.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mamlbench.atomic_write import remove_abandoned, replaced_when_complete
from mamlbench.data.encoded_split import FeatureCost
from mamlbench.errors import CacheError
from mamlbench.interrupts import check_interrupt
from mamlbench.record.claims import Claim, ClaimWatcher

WAIT_SECONDS = 0.2
"""Between two looks at the claim of another process."""
FEATURES = "features"


class FeaturesOfSplit(NamedTuple):
    """Features of the images of one split, float32 ``[1 or 4, images, d]``, of each quarter turn; and their cost."""

    features: Tensor
    cost: FeatureCost


def cached_features(
    path: Path, compute: Callable[[], FeaturesOfSplit], waiting: Callable[[str], object]
) -> FeaturesOfSplit:
    """Read the features at ``path``; compute and write them first if the file is missing or damaged.

    Args:
        path: the file in the cache folder; its name should change with the images and the encoder.
        compute: computes them.
        waiting: called again and again with the process that this one waits for.

    Raises CacheError if the cache folder cannot be written, and whatever ``compute`` raises.
    """
    stored = load_features(path)
    if stored is not None:
        logging.getLogger(__name__).info("Features from the cache: %s.", path)
        return stored
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _claim_when_free(path, waiting):
            remove_abandoned(path.parent, path.name)
            stored = load_features(path)  # of the process that held the claim before
            if stored is not None:
                return stored
            computed = compute()
            _write(path, computed)
            return computed
    except OSError as error:
        raise CacheError(
            f"The features cannot be written to '{path.parent}' ({error}): free some space or set MAMLBENCH_CACHE to a "
            "writable folder."
        ) from error


def load_features(path: Path) -> FeaturesOfSplit | None:
    """Read the features at ``path``; None if the file is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            facts, features = file.metadata() or {}, file.get_tensor(FEATURES)
        stored = FeaturesOfSplit(features, FeatureCost(float(facts["wall"]), float(facts["device"]), cached=True))
        return stored if facts["sha256"] == _sha256(stored) else None
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def _claim_when_free(path: Path, waiting: Callable[[str], object]) -> Claim:
    watcher = ClaimWatcher()
    while True:
        claim = watcher.take(path)
        if claim is not None:
            return claim
        check_interrupt()
        waiting(str(watcher.holder(path) or "another process"))
        time.sleep(WAIT_SECONDS)


def _write(path: Path, computed: FeaturesOfSplit) -> None:
    facts = {"wall": str(computed.cost.wall), "device": str(computed.cost.device), "sha256": _sha256(computed)}
    with replaced_when_complete(path) as temporary:
        try:
            save_file({FEATURES: computed.features}, temporary, facts)
        except SafetensorError as error:  # of a full disk
            raise OSError(str(error)) from error


def _sha256(part: FeaturesOfSplit) -> str:
    digest = hashlib.sha256(repr((part.cost.wall, part.cost.device, part.features.shape)).encode())
    digest.update(part.features.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
