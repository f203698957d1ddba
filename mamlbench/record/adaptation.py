"""Result of adapting a model to a user's own images: plain data, for tables, CSV and contact sheet."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mamlbench.record.record_part import RecordPart
from mamlbench.record.run_record import Interval
from mamlbench.record.training_data import SeenTestData
from mamlbench.run_spec import Mode


class LabeledImage(RecordPart):
    """One image of the support set, held out, or to be labeled."""

    file: str = Field(description="relative to the folder")
    use: Literal["support", "held out", "unlabeled"]
    """support: the model was adapted to it; held out: the model was tested on it"""
    truth: str | None = Field(None, description="class of its folder, or of a correction")
    corrected: bool = Field(False, description="whether a correction says its class")
    label: str | None = Field(None, description="class predicted by the model; None for the support set")
    probabilities: list[float] = Field(default_factory=list, description="of each class, in the order of the classes")

    @property
    def probability(self) -> float:
        """Probability of the label."""
        return max(self.probabilities, default=0.0)


class HeldOut(RecordPart):
    """Accuracy on the held-out images."""

    images: int
    """number of held-out images"""
    right: int
    """number of correct labels"""
    accuracy: Interval = Field(description="share of correct labels, with Wilson's 95 % interval over images")
    untrained_right: int = Field(description="correct labels of the untrained network after the same adaptation")


class Adaptation(RecordPart):
    """One call of ``mamlbench adapt``."""

    model: str
    """the record or model that was adapted"""
    algorithm: str
    """its method"""
    dataset: str
    """data set that the model was trained on"""
    folder: str
    """folder of the images"""
    classes: list[str]
    """names of the classes"""
    steps: int | None = Field(description="adaptation steps; None if the algorithm has no steps")
    mode: Mode
    """how batch norm treated the images that were labeled"""
    head: Literal["trained", "tied", "of the method"] = "trained"
    """how the head begins: as it was trained; of another number of classes, every class at the mean of the trained
    ones; or as the method makes it from the images"""
    unsure_below: float = Field(0.0, ge=0, le=1, description="labels of a smaller probability are marked as unsure")
    images: list[LabeledImage]
    """every image"""
    held_out: HeldOut | None = None
    """accuracy on the held-out images; None if there are none"""
    seen: SeenTestData | None = Field(
        None, description="whether the network was trained on held-out images or their classes; None if there are none"
    )
    notes: list[str] = Field(default_factory=list, description="files that were left out, a sentence each")

    def is_unsure(self, image: LabeledImage) -> bool:
        """Whether an image's label is marked as unsure."""
        return image.label is not None and image.probability < self.unsure_below

    def used_as(self, use: str) -> list[LabeledImage]:
        """Return the images of one use, in the order of their names."""
        return [image for image in self.images if image.use == use]
