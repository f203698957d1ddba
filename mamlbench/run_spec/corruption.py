"""Corruptions of test images by name and strength, as text: ``noise:0.3``."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

NO_CORRUPTION = "none"
"""Images as they are."""

MOST_STRENGTH = {"noise": 10.0, "blur": 100.0, "contrast": 1.0}
"""Corruptions with their largest strengths; 0 would change nothing. What a strength means stands in ``Corruption``."""


class Corruption(NamedTuple):
    """A corruption of images with pixels in [0, 1].

    Attributes:
        name: 'noise', 'blur' or 'contrast'.
        strength: of noise, the standard deviation of what is added to each pixel; of blur, the standard deviation of
            the Gaussian in pixels; of contrast, the part of each pixel's distance to the image's mean that is removed.
    """

    name: str
    strength: float

    def __str__(self) -> str:
        return f"{self.name}:{self.strength:.10g}"


def read_corruption(text: str) -> Corruption | None:
    """Read ``NAME:STRENGTH``; None for ``none``. Raises ValueError with the reason, without a full stop."""
    if text.strip() == NO_CORRUPTION:
        return None
    name, _, number = text.strip().partition(":")
    if name not in MOST_STRENGTH:
        raise ValueError(f"a corruption is {', '.join(f'{known}:STRENGTH' for known in MOST_STRENGTH)} or none")
    try:
        strength = float(number)
    except ValueError:
        strength = math.nan
    if not 0 < strength <= MOST_STRENGTH[name]:  # false for nan
        raise ValueError(f"the strength of {name} is a number above 0, up to {MOST_STRENGTH[name]:g}")
    return Corruption(name, strength)


def _normalized(text: str) -> str:
    return str(read_corruption(text) or NO_CORRUPTION)


CorruptionText = Annotated[str, AfterValidator(_normalized)]
"""A corruption as text, always spelled in the same way: ``noise:0.30`` becomes ``noise:0.3``."""
