"""Tables as people and programs write them, and as nobody should."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlbench.errors import DataError
from mamlbench_plugins.datasets.tables import MAX_FIELD, read_table

ROWS = [("a.jpg", "n1"), ("b, c.jpg", "n2")]
COLUMNS = ("filename", "label")


def read(content: bytes | str) -> list[tuple[str, ...]]:
    return read_table(content, "'train.csv'", COLUMNS)


READ = {
    "plain": b'filename,label\na.jpg,n1\n"b, c.jpg",n2\n',
    "no end of the last line": b'filename,label\na.jpg,n1\n"b, c.jpg",n2',
    "CRLF": b'filename,label\r\na.jpg,n1\r\n"b, c.jpg",n2\r\n',
    "CR": b'filename,label\ra.jpg,n1\r"b, c.jpg",n2\r',
    "byte-order mark": b'\xef\xbb\xbffilename,label\na.jpg,n1\n"b, c.jpg",n2\n',
    "quotes everywhere": b'"filename","label"\n"a.jpg","n1"\n"b, c.jpg","n2"\n',
    "an index and other columns": b',label,split,filename\n0,n1,x,a.jpg\n1,n2,,"b, c.jpg"\n',
    "empty lines and spaces": b'filename, label\n\n a.jpg , n1\n,\n"b, c.jpg",n2\n\n',
    "rows again": b'filename,label\na.jpg,n1\n"b, c.jpg",n2\na.jpg,n1\n',
    "more values than columns": b'filename,label\na.jpg,n1,extra\n"b, c.jpg",n2\n',
}


@pytest.mark.parametrize("kind", READ)
def test_usual_tables_are_read(kind: str) -> None:
    assert read(READ[kind]) == ROWS


REFUSED = {
    "nothing": (b"", "each once, in its first line"),
    "one column": (b"filename\na.jpg\n", "each once, in its first line"),
    "no header": (b"a.jpg,n1\n", "each once, in its first line"),
    "a column twice": (b"filename,label,label\na.jpg,n1,n2\n", "each once, in its first line"),
    "semicolons": (b"filename;label\na.jpg;n1\n", "each once, in its first line"),
    "a short row": (b"filename,label\na.jpg,n1\nb.jpg\n", "row 3 has no value"),
    "an empty value": (b"filename,label\na.jpg,\n", "row 2 has no value"),
    "a value of spaces": (b"filename,label\n  ,n1\n", "row 2 has no value"),
    "a long value": (b"filename,label\n" + b"x" * (MAX_FIELD + 1) + b",n1\n", "row 2 has no value of 1 to 255"),
    "a value beyond the library's": (b"filename,label\n" + b"x" * 200_000 + b",n1\n", "field larger than"),
    "a line break in a value": (b'filename,label\n"a\nError: forged",n1\n', "row 2 has no value"),
    "an open quote": (b'filename,label\n"a.jpg,n1\n', "not a table of comma-separated values"),
    "a quote in a value": (b'filename,label\n"a"b.jpg,n1\n', "not a table of comma-separated values"),
    "Latin-1": (b"filename,label\ncaf\xe9.jpg,n1\n", "not text in UTF-8"),
    "UTF-16": ("filename,label\na.jpg,n1\n".encode("utf-16"), "not text in UTF-8"),
    "UTF-16 without a mark": ("filename,label\na.jpg,n1\n".encode("utf-16-le"), "it has zeros"),
    "an image": (b"\x89PNG\r\n\x1a\n", "not text in UTF-8"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_tables_are_refused_with_one_sentence(kind: str) -> None:
    content, reason = REFUSED[kind]
    with pytest.raises(DataError) as error:
        read(content)
    assert reason in str(error.value) and "'train.csv'" in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(
    lambda text: text == text.strip()
)


@given(st.lists(st.tuples(names, names), unique=True), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_what_python_writes_is_read(rows: list[tuple[str, str]], quoting: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    assert read(text.getvalue()) == rows and read(text.getvalue().encode("utf-8-sig")) == rows


@given(st.binary(max_size=200))
def test_other_bytes_are_refused_or_read(content: bytes) -> None:
    try:
        rows = read(b"filename,label\n" + content)
    except DataError:
        return
    assert all(len(row) == 2 and all(row) for row in rows)
