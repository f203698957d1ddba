"""What fine-tuning on a user's own images gave: plain data, for tables, CSV and contact sheet."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mamlbench.record.run_record import Interval
from mamlbench.run_spec import Mode


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabeledImage(_Data):
    """One image: given with its class, held out, or to be labeled."""

    file: str = Field(description="relative to the folder")
    use: Literal["given", "held out", "unlabeled"]
    """what it was there for"""
    truth: str | None = Field(None, description="class that its folder says")
    label: str | None = Field(None, description="class that it was given by the model; None where it was learned from")
    probabilities: list[float] = Field(default_factory=list, description="of each class, in the order of the classes")

    @property
    def probability(self) -> float:
        """That of the label."""
        return max(self.probabilities, default=0.0)


class HeldOut(_Data):
    """How well images were labeled that were held out."""

    images: int
    """how many"""
    right: int
    """how many were labeled right"""
    accuracy: Interval = Field(description="share labeled right, with Wilson's 95 % interval over images")
    untrained_right: int = Field(description="by the untrained network, given the same adaptation")


class Adaptation(_Data):
    """One call of ``mamlbench adapt``."""

    model: str
    """the record or model that was adapted"""
    algorithm: str
    """its method"""
    dataset: str
    """what it was trained on"""
    folder: str
    """where the images are"""
    classes: list[str]
    """names of the classes"""
    steps: int | None = Field(description="adaptation steps; None where the algorithm takes none")
    mode: Mode
    """how batch norm saw the images that were labeled"""
    images: list[LabeledImage]
    """every image"""
    held_out: HeldOut | None = None
    """how many of those held out were labeled right; None without any"""

    def used_as(self, use: str) -> list[LabeledImage]:
        """The images of one use, in the order of their names."""
        return [image for image in self.images if image.use == use]
