"""The list of mutants."""

MUTANTS = []
"""(kind, class, name of the check)"""


def caught_by(check, kind="algorithm"):
    """Register a mutant with the check that must catch it."""

    def add(mutant):
        mutant.__doc__ = mutant.__doc__ or "A mutant."
        MUTANTS.append((kind, mutant, check))
        return mutant

    return add
