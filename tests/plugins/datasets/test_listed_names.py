"""Paths of another machine, found by their ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import DataError
from mamlbench_plugins.datasets.listed_names import PathIndex

parts = st.text("ab", min_size=1, max_size=2)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


@given(st.sets(paths, min_size=1, max_size=8), paths)
def test_a_full_path_is_found_wherever_its_root_was(names, root):
    index = PathIndex(names)
    for name in names:
        try:
            assert index.find(name) in names
            assert index.find(f"/{root}/x/{name}".replace("/", "\\")) == index.find(f"/{root}/x/{name}")
        except DataError as error:
            assert "may be any of" in str(error)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/me/CUB/images/001.A/x.jpg", "images/001.A/x.jpg"),
        ("./002.B/x.jpg", "images/002.B/x.jpg"),
        ("C:\\data\\images\\002.B\\y.jpg", "images/002.B/y.jpg"),
        ("y.jpg", "images/002.B/y.jpg"),
        ("y", "images/002.B/y.jpg"),
        ("z.jpg", None),
        ("", None),
        ("/", None),
    ],
)
def test_the_longest_common_end_counts(path, name):
    index = PathIndex(["images/001.A/x.jpg", "images/002.B/x.jpg", "images/002.B/y.jpg"], stems=True)
    assert index.find(path) == name


def test_a_path_that_may_be_two_files_is_refused():
    with pytest.raises(DataError, match=r"'x.jpg' may be any of a/x.jpg, b/x.jpg: write its folder too"):
        PathIndex(["a/x.jpg", "b/x.jpg"]).find("x.jpg")
