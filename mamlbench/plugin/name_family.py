"""Families of names: one class that is registered for all names with a prefix, such as ``torchvision:EuroSAT``."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, ClassVar, Self

from mamlbench.errors import ConfigError, did_you_mean, one_line

MOST_LISTED = 40
"""Members that a message lists if none is similar."""


class NameFamily:
    """A base class, beside ``Dataset`` or ``Backbone``, of what stands for all names ``PREFIX:MEMBER``.

    A plugin registers ``PREFIX`` with ``member="NAME"``, the word that stands for a member wherever names are listed. A
    user writes ``PREFIX:resnet18`` and gets the class that ``of`` returns: a subclass whose ``member`` is
    ``'resnet18'``.

    Attributes:
        member: what follows the prefix and the colon; empty in the class that is registered.
    """

    member: ClassVar[str] = ""

    @classmethod
    def known_members(cls) -> Collection[str] | None:
        """Return all members there are; None if they cannot be listed, as files cannot.

        Raises MissingDependencyError if the library that has them is not installed.
        """
        return None

    @classmethod
    def of(cls, member: str) -> type[Self]:
        """Return the class of one member, the same one every time.

        Raises ConfigError with the nearest member if there is none of that name, and as ``known_members``.
        """
        known = cls.known_members()
        if known is not None and member not in known:
            raise ConfigError(f"there is no '{one_line(member)}'.{_nearest(member, known)}")
        family: Any = cls
        subclass: type[Self] = _subclass(family, member)
        return subclass


@cache
def _subclass(family: Any, member: str) -> Any:
    own = {"member": member, "__module__": family.__module__, "__doc__": family.__doc__}
    return type(family)(family.__name__, (family,), own)


def _nearest(member: str, known: Collection[str]) -> str:
    """The most similar member, or all of them if they are few."""
    by_lower = {name.lower(): name for name in known}
    if member.lower() in by_lower:  # spelled in other capitals
        return f" Did you mean '{by_lower[member.lower()]}'?"
    hint = did_you_mean(member, known)
    return hint if "Did you mean" in hint or len(known) <= MOST_LISTED else f" It has {len(known):,} others."
