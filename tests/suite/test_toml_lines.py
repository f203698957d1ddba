"""Line numbers of keys, compared with the result of tomllib for the same text."""

import tomllib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mamlbench.suite.toml_lines import key_lines

DOCUMENT = '''# a comment with = and [brackets]
title = "a # no comment" # a comment
numbers = [
    1,  # one = one
    [2, 3],
    { x = 4, "y z" = [5] },
]
text = """
[not.a.table]
key = 1 \\""" still text"""""
literal = \'\'\'
# text
\'\'\'\'
date = 1979-05-27 07:32:00
physical.color = "orange"
physical . "sha.pe" = 'round'

[servers] # first
[servers.alpha]
ip = "10.0.0.1"

[[products]]
name = "Hammer"

[[products]]
name = "Nail"
  [products.dimensions]
  length = 7
  [[products.colors]]
  rgb = [1, 2]
  [[products.colors]]
'''

LINES = {
    ("title",): 2,
    ("numbers",): 3,
    ("numbers", 0): 4,
    ("numbers", 1, 1): 5,
    ("numbers", 2, "y z"): 6,
    ("text",): 8,
    ("literal",): 11,
    ("date",): 14,
    ("physical", "color"): 15,
    ("physical", "sha.pe"): 16,
    ("servers",): 18,
    ("servers", "alpha", "ip"): 20,
    ("products",): 22,
    ("products", 0, "name"): 23,
    ("products", 1, "name"): 26,
    ("products", 1, "dimensions", "length"): 28,
    ("products", 1, "colors", 0, "rgb", 1): 30,
    ("products", 1, "colors", 1): 31,
}


def paths(value, path=()):
    """Yield the path of every key and array element of a parsed document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in inner:
        yield (*path, key)
        yield from paths(element, (*path, key))


def test_every_kind_of_line():
    assert {path: line for path, line in key_lines(DOCUMENT).items() if path in LINES} == LINES
    assert set(key_lines(DOCUMENT)) == set(paths(tomllib.loads(DOCUMENT)))


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "a = 1", "a = true # no newline", "[a]\n[b.c]"])
def test_short_documents(text):
    assert set(key_lines(text)) == set(paths(tomllib.loads(text)))


KEYS = st.text("ab-_1", min_size=1, max_size=3)
STRINGS = st.text("a#=[]{},.' \n\t", max_size=6)


def quoted(text):
    return '"' + text.replace("\n", "\\n").replace("\t", "\\t") + '"'


SCALARS = st.one_of(
    st.integers().map(str),
    st.booleans().map(lambda value: str(value).lower()),
    STRINGS.map(quoted),
    STRINGS.filter(lambda text: "'" not in text and "\n" not in text).map(lambda text: f"'{text}'"),
    STRINGS.map(lambda text: f'"""{text}"""'),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3).map(
        lambda items: "[\n" + "".join(f"{item}, # ,]\n" for item in items) + "]"
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.one_of(KEYS, STRINGS.map(quoted)), VALUES, max_size=6), st.integers(0, 3))
def test_every_key_has_its_line(pairs, gap):
    """Whatever the values before it look like."""
    assume(len({name for key in pairs for name in tomllib.loads(f"{key} = 0")}) == len(pairs))  # a and "a" are one key
    blocks = [f"{key} = {value}\n" + "\n" * gap for key, value in pairs.items()]
    text = "".join(blocks)
    parsed = tomllib.loads(text)
    lines = key_lines(text)
    assert set(lines) == set(paths(parsed))
    starts = [1 + sum(block.count("\n") for block in blocks[:number]) for number in range(len(blocks))]
    assert [lines[(key,)] for key in parsed] == starts
