"""Options of a plugin: one pydantic class from which validation, help, ``info`` and the schema all derive."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of every plugin's options. Give each field a default and a description::

        class Options(mamlbench.api.Options):
            inner_lr: float = Field(0.4, gt=0, description="inner learning rate")

    The command line's ``-o NAME=VALUE``, ``mamlbench info``, validation and the JSON schema derive from the fields.
    Instances are immutable; an unknown name and a number that is not finite are errors (a pydantic
    ``ValidationError``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
