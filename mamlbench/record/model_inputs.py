"""What a model's inputs are: the form that images are brought to before it sees them, and its training classes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mamlbench.record.record_part import RecordPart


class ModelInputs(RecordPart):
    """Everything that a user's own images need to become inputs of a model; written into its JSON file."""

    image_size: int = Field(ge=1)
    """height and width in pixels"""
    channels: Literal[1, 3]
    """3: color; 1: gray"""
    fit: Literal["stretch", "crop"] = "stretch"
    """how an image that is not square becomes square"""
    polarity: Literal[0, 1] | None = None
    """of drawings: 1 for bright strokes on a dark background, 0 for dark on bright; None: photographs"""
    gray_bits: int = 16
    """bits in use of images of 16 bits per pixel"""
    scale: float
    """factor from pixels of 0 to 255 to the numbers that are normalized"""
    mean: tuple[float, ...] = ()
    """subtracted from each channel; empty: nothing is"""
    deviation: tuple[float, ...] = ()
    """that each channel is divided by; empty: by nothing"""
    classes: tuple[str, ...] = ()
    """names of the training classes"""
    outputs: int = Field(ge=0, description="classes that training distinguished, with rotations that were classes")
