"""Options of a plugin: one pydantic class from which validation, help, ``info`` and the schema all derive."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of every plugin's options. Give each field a default and a description::

        class Options(mamlbench.api.Options):
            inner_lr: float = Field(0.4, gt=0, description="inner learning rate")

    From them come the command line's ``-o NAME=VALUE``, ``mamlbench info``, validation and the schema. They cannot be
    changed once made, and a name that is not among them is refused (a pydantic ``ValidationError``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
