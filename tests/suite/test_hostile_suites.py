"""Suite files from anywhere: deep, huge and of wrong types; each mistake is one line, at once."""

import os
import threading
import time
from pathlib import Path

import pytest

from mamlbench.errors import ConfigError
from mamlbench.suite import expand, read_suite
from mamlbench.suite.grid import MAX_CELLS
from mamlbench.suite.read import MAX_BYTES, MAX_PROBLEMS, read_changes

PLAIN = 'algorithm = "maml"\n'


@pytest.fixture
def refusal(tmp_path):
    """``refusal(text)``: the lines of the error for a file with this content."""

    def refusal(content):
        path = tmp_path / "study.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        start = time.process_time()
        with pytest.raises(ConfigError) as error:
            expand(read_suite(path))
        assert time.process_time() - start < 2
        lines = str(error.value).splitlines()
        assert all(line.startswith((f"{path}:", f"'{path}'", "A suite of")) and len(line) < 1000 for line in lines)
        return lines

    return refusal


DEEP = {
    "lists": "x = " + "[" * 100_000 + "]" * 100_000,
    "lists that Python reads": "x = " + "[" * 60 + "]" * 60,
    "inline tables": "x = " + "{a=" * 5000 + "1" + "}" * 5000,
    "a dotted key": "a" + ".a" * 100_000 + " = 1",
    "a table": "[" + "a . " * 50_000 + "a]",
    "quoted parts": "\"a\".'b'." * 50 + "c = 1",
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_files_are_refused_at_once(refusal, kind):
    """A key of 50,000 parts took 105 seconds and ten gigabytes."""
    (line,) = refusal(DEEP[kind])
    assert "nested more than 32 levels deep" in line or "a key of more than 32 parts" in line


def test_a_huge_file_is_not_read(refusal):
    assert f"more than {MAX_BYTES:,} bytes" in refusal(PLAIN + "#" * MAX_BYTES)[0]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_a_device_without_an_end_is_not_read():
    with pytest.raises(ConfigError, match="more than"):
        read_suite(Path("/dev/zero"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
def test_a_pipe_is_read_as_a_shell_makes_one(tmp_path):
    """``mamlbench suite <(generate)``."""
    os.mkfifo(tmp_path / "pipe.toml")
    writer = threading.Thread(target=(tmp_path / "pipe.toml").write_text, args=(PLAIN,))
    writer.start()
    assert len(expand(read_suite(tmp_path / "pipe.toml"))) == 1
    writer.join()


def test_not_every_mistake_of_thousands_is_reported(refusal):
    lines = refusal(PLAIN + "".join(f"k{number} = 1\n" for number in range(5000)))
    assert len(lines) <= MAX_PROBLEMS


WRONG = {
    "numbers": 'algorithm = 5\nseeds = "x"\nways = 1.5\n',
    "tables": "algorithm = {}\noverride = 3\ninclude = {}\nexclude = [1]\noptions = []\n",
    "lists of other things": PLAIN + 'override = [1, "a"]\ninclude = ["b"]\nexclude = "q"',
    "a date": "algorithm = 1979-05-27T07:32:00Z\n",
    "infinity": PLAIN + "seed = inf\n",
    "a huge number": PLAIN + "seeds = -" + "9" * 4000,
    "a number beyond Python's": PLAIN + "seeds = " + "9" * 5000,
    "a list of huge numbers": PLAIN + "seeds = [" + "9" * 4000 + ", 1]",
    "no list": PLAIN + "seeds = 0\nshots = []\n",
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_types_are_named_in_short_lines(refusal, kind):
    assert refusal(WRONG[kind])


def test_names_are_shown_in_one_line(refusal):
    (line,) = refusal(PLAIN + '"a\\nError: forged" = 1\n')
    assert r"a\nError: forged" in line
    (line,) = refusal(PLAIN + "x" * 100_000 + " = 1\n")
    assert "xxx...: there is no such key" in line


@pytest.mark.parametrize("content", [b"\xff\xfea\x00", PLAIN.encode("utf-16"), b"\x00" * 100, b"a = '\xe9'\n"])
def test_other_encodings_are_refused(refusal, content):
    assert "not valid TOML" in refusal(content)[0]


def test_a_byte_order_mark_and_other_line_ends_are_read(tmp_path):
    (tmp_path / "study.toml").write_bytes(b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode() + b"seeds = 2\r\n")
    suite = read_suite(tmp_path / "study.toml")
    assert len(expand(suite)) == 2 and suite.lines["seeds",] == 2


def test_more_cells_than_a_computer_holds_are_refused(refusal):
    (line,) = refusal(PLAIN + "seeds = 10000\nshots = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]\n")
    assert f"A suite of 110,000 cells is more than a computer can hold: up to {MAX_CELLS:,} are run" in line


def test_a_product_of_settings_is_counted_before_it_is_made(refusal):
    numbers = ", ".join(map(str, range(1, 2000)))
    assert (
        "cells is more than" in refusal(f"{PLAIN}ways = [{numbers}]\nshots = [{numbers}]\nqueries = [{numbers}]\n")[0]
    )


def test_a_change_that_is_no_toml_is_text():
    deep = "[" * 100_000
    with pytest.raises(ConfigError) as error:
        read_changes({"shots": deep, "algorithm": "9" * 5000})
    assert len(str(error.value)) < 1000
