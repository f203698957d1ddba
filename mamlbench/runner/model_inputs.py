"""What a model needs to know of its training data to be used without them."""

from __future__ import annotations

from mamlbench.api import Classification, Dataset, ImageFormat, ImageSplit, Normalization
from mamlbench.record.model_inputs import ModelInputs


def model_inputs(dataset: Dataset) -> ModelInputs | None:
    """Describe the inputs of a model that is trained on a data set; None if its tasks are not classes of images."""
    split, image_format = dataset.splits["train"], dataset.image_format()
    if not isinstance(split, ImageSplit) or image_format is None:
        return None
    if not isinstance(dataset.objective(2), Classification):
        return None
    normalization = split.normalization
    return ModelInputs(
        image_size=image_format.image_size,
        channels=image_format.channels,
        fit=image_format.fit,
        polarity=image_format.polarity,
        gray_bits=image_format.gray_bits,
        scale=split.scale,
        mean=() if normalization is None else normalization.mean,
        deviation=() if normalization is None else normalization.deviation,
        classes=split.class_names,
        outputs=split.size,
    )


def image_format_of(inputs: ModelInputs) -> ImageFormat:
    """The size, channels and polarity that images are converted to."""
    return ImageFormat(inputs.image_size, inputs.channels, inputs.fit, inputs.polarity, inputs.gray_bits)


def normalization_of(inputs: ModelInputs) -> Normalization | None:
    """What is applied to scaled pixels; None: nothing."""
    return Normalization(inputs.mean, inputs.deviation) if inputs.mean else None
