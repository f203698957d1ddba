import pytest

from mamlbench.api import with_progress


@pytest.mark.parametrize("items", [[], list("abc")])
def test_the_end_is_always_reported(items):
    reports = []
    assert list(with_progress(iter(items), "letters", 3, lambda *report: reports.append(report))) == items
    assert reports[-1] == ("letters", len(items), 3)
