"""Untrusted files: whatever they contain, they are read or reported, and never more than text in the output."""

import copy
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mamlbench.errors import ConfigError, ExitCode
from mamlbench.report import LoadedRecords, build_tables, loading, read_records
from mamlbench.report.gate import compare_records, parse_thresholds
from mamlbench.report.gate.render import RENDERERS as GATE_RENDERERS
from mamlbench.report.gate.render import to_text
from mamlbench.report.render import RENDERERS

GOOD = (Path(__file__).parents[1] / "record" / "data" / "schema-1-finished.json").read_text()
VALUES = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        2**63,
        10**400,
        -(10**30),
        1e308,
        -1e-308,
        1e-400,
        "NaN",
        "Infinity",
        "-Infinity",
        "",
        [],
        {},
        [[[]]],
        "<script>alert(1)</script>",
        "</td>|`${x}`\\x",
        "\x1b[2J\u202e\x00",
        "=cmd()",
        "x" * 10_000,
        ["a"] * 1000,
        {"a": {"b": {}}},
        "../../etc/passwd",
        "é\ud7ff\U0010ffff",
    ]
)
slow = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def paths(node, path=()):
    """Yield the path of every node of a JSON document."""
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if not (isinstance(key, int) and key > 1):  # two elements of a list stand for all
            yield from paths(value, (*path, key))


PATHS = [path for path in paths(json.loads(GOOD)) if path]


def read(folder, content):
    (folder / "run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    loaded = read_records([folder])
    assert len(loaded.records) + len(loaded.problems) == 1
    assert all("run.json" in problem for problem in loaded.problems)
    return loaded


def render_all(loaded):
    """Make every output from records."""
    tables = build_tables(loaded.records, ["all"])
    for render in RENDERERS.values():
        render(tables)
    good = LoadedRecords(loaded.records, [], [])
    for sides in ((good, loaded), (loaded, good)):
        result = compare_records(*sides, parse_thresholds(["score:-1%", "device_seconds:+10%", "peak_memory:+5%"]))
        to_text(result)
        for render in GATE_RENDERERS.values():
            render(result)


@slow
@given(data=st.data())
def test_a_record_with_any_value_anywhere_is_rendered_or_reported(tmp_path, data):
    content = json.loads(GOOD)
    for path in data.draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=3)):
        node = content
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = copy.deepcopy(data.draw(VALUES))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change removed this node
    loaded = read(tmp_path, json.dumps(content))
    try:
        render_all(loaded)
    except ConfigError as error:
        assert "Reverse the threshold's sign" in str(error), "the record's metric says that lower is better"


@slow
@given(end=st.integers(0, len(GOOD) - 1))
def test_half_a_record_is_reported(tmp_path, end):
    if GOOD[end:].strip():
        assert read(tmp_path, GOOD[:end]).problems


@slow
@given(content=st.binary(max_size=200))
def test_bytes_are_reported(tmp_path, content):
    assert read(tmp_path, content).problems


@pytest.mark.parametrize(
    "content",
    [
        "[" * 1_000_000,
        '{"a":' * 1_000_000,
        '{"schema_version": 1' + "0" * 5000 + "}",
        '{"schema_version": NaN}',
        '{"schema_version": 1e400}',
        '{"schema_version": -1}',
        '{"schema_version": 1, "schema_version": 99}',
        GOOD.replace('"schema_version": 1', '"schema_version": 0'),
        "null",
        "\0",
    ],
    ids=[
        "deep list",
        "deep object",
        "huge version",
        "NaN",
        "infinite",
        "negative",
        "twice",
        "version 0",
        "null",
        "zero byte",
    ],
)
def test_malicious_documents_are_reported(tmp_path, content):
    assert read(tmp_path, content).problems


def test_a_huge_file_is_reported_and_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MAX_BYTES", 10_000)
    assert "is not a run record: it has 0 MiB" in read(tmp_path, GOOD + " " * 10_000).problems[0]


def test_a_file_that_is_not_regular_is_reported_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    (tmp_path / "folder.json").mkdir()
    loaded = read_records([tmp_path])
    assert not loaded.records and len(loaded.problems) == 3
    assert all("not a regular file" in problem for problem in loaded.problems)


def test_names_are_escaped_in_every_output(make_record):
    name = "<script>alert(1)</script>|`x`\x1b[2J"
    side = LoadedRecords([make_record(name, dataset=name, options={name: name})], [], [])
    tables = build_tables(side.records, ["all"])
    result = compare_records(side, side)
    assert result.exit_code == ExitCode.OK
    for text in (RENDERERS["md"](tables), GATE_RENDERERS["md"](result)):
        assert "<script" not in text.replace(r"\<", "") and "\x1b" not in text
    assert "<script" not in RENDERERS["svg"](tables) and "\x1b" not in to_text(result)
