"""Which classes each test episode has, packed into a record: intervals for new classes need nothing else."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from mamlbench.record.record_part import RecordPart

if TYPE_CHECKING:
    from numpy.typing import NDArray

BYTES = 2
"""Of each number: a test split has at most 65,536 classes."""


class EpisodeClasses(RecordPart):
    """The classes of E episodes, one number for each label.

    As text and not as a list, since ten thousand records would hold thirty million numbers that are seldom read.
    """

    ways: int = Field(ge=1, description="labels per episode")
    packed: str = Field(description="classes of the split, episode after episode, as little-endian uint16 in base64")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        try:
            size = len(base64.b64decode(self.packed, validate=True))
        except binascii.Error as error:
            raise ValueError("classes of the episodes are not base64") from error
        if size % (BYTES * self.ways):
            raise ValueError("classes of the last episode are incomplete")
        return self

    def unpack(self) -> NDArray[Any]:
        """Return the classes ``[E, ways]``, int64."""
        import numpy as np

        values = np.frombuffer(base64.b64decode(self.packed), "<u2")
        return values.astype(np.int64).reshape(-1, self.ways)


def pack_classes(classes: NDArray[Any]) -> EpisodeClasses | None:
    """Pack the classes ``[E, ways]`` of E episodes; None if a number does not fit into 16 bits."""
    if classes.size == 0 or classes.min() < 0 or classes.max() >= 256**BYTES:
        return None
    packed = base64.b64encode(classes.astype("<u2").tobytes()).decode()
    return EpisodeClasses(ways=classes.shape[1], packed=packed)
