"""What a run left out because it was not finite."""

import pytest

from mamlbench.record.skipped import skipped_parts


@pytest.mark.parametrize(("updates", "validations"), [([3, 4], []), ([], [8]), ([1], [2, 3])])
def test_both_kinds_are_kept(updates, validations):
    skipped = skipped_parts(updates, validations)
    assert (skipped.updates, skipped.validations) == (updates, validations)
    assert skipped_parts((*updates,), (*validations,)) == skipped


def test_nothing_is_nothing():
    assert skipped_parts([], []) is None
