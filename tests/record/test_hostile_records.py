"""Records from anywhere: what JSON leaves open, and what no record has, is refused with one sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_record import tiny_record

from mamlbench.record.result_store import UnreadableRecordError, read_record
from mamlbench.run_spec.outside_text import escaped, is_deep, loads_strictly, shortened

GOOD = tiny_record().model_dump_json()


@pytest.fixture
def refusal(tmp_path):
    def refusal(content):
        path = tmp_path / "run.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(UnreadableRecordError) as error:
            read_record(path)
        assert "\n" not in str(error.value) and len(str(error.value)) < 500 and str(path) in str(error.value)
        return str(error.value)

    return refusal


def with_value(text):
    """A record in which one number is replaced by a text."""
    assert '"attempt":1,' in GOOD
    return GOOD.replace('"attempt":1,', f'"attempt":{text},')


def test_what_is_replaced_below_is_read_as_it_is(tmp_path):
    (tmp_path / "run.json").write_text(with_value("2"))
    assert read_record(tmp_path / "run.json").attempt == 2


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_lacks_are_refused(refusal, text):
    assert f"{text} is no number of JSON" in refusal(with_value(text))
    assert f"{text} is no number of JSON" in refusal(GOOD.replace('"status":', f'"x":[{text}],"status":', 1))


def test_a_key_that_stands_twice_is_refused_at_every_level(refusal):
    """Readers differ in which of the two they take."""
    assert "the key 'attempt' stands twice" in refusal(with_value('1,"attempt":2'))
    assert "the key 'seed' stands twice" in refusal(GOOD.replace('"seed":', '"seed" : 7, "seed":', 1))


@pytest.mark.parametrize("digits", [21, 5000, 1_000_000])
def test_huge_numbers_are_refused(refusal, digits):
    assert f"a number of {digits:,} digits" in refusal(with_value("9" * digits))


@pytest.mark.parametrize("depth", [60, 100_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_deep_nesting_is_refused(refusal, depth, pair):
    closing = pair[-1]
    assert "nested too deeply" in refusal(with_value(pair[:-1] * depth + "1" + closing * depth))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_other_encodings_are_refused(refusal, encoding):
    assert "Invalid JSON" in refusal(GOOD.encode(encoding))


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b'{"a": "\xff"}', b"null", b"[]", b"{}", b'"x"', b"1e999"])
def test_what_is_no_record_is_refused(refusal, content):
    assert "is not a run record" in refusal(content)


def test_a_key_is_shown_in_one_line(refusal):
    assert r"a\nError: forged" in refusal(GOOD.replace("{", '{"a\\nError: forged": 1,', 1))
    assert "xxx..." in refusal(GOOD.replace("{", f'{{"{"x" * 1000}": 1,', 1))


def test_a_record_of_the_first_schema_is_as_strict(refusal):
    assert "stands twice" in refusal('{"schema_version": 1, "schema_version": 1}')
    assert "nested too deeply" in refusal('{"schema_version": 1, "x": ' + "[" * 5000 + "]" * 5000 + "}")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_the_json_of_others_is_read_as_python_reads_it(value):
    assert loads_strictly(json.dumps(value)) == value
    assert loads_strictly(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


def test_depth_is_counted_in_lists_and_tables():
    value = []
    for _ in range(31):
        value = [value] if len(str(value)) % 4 else {"x": value}
    assert not is_deep(value) and is_deep([[value]])


@given(st.text() | st.integers() | st.lists(st.text()))
def test_what_is_shown_is_one_short_line(value):
    for shown in (shortened(value), escaped(str(value))):
        assert len(shown) <= 103 and shown.isprintable()
