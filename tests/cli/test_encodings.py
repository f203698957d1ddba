"""Every command writes to a console of any encoding."""

import io
import sys

import pytest

from mamlbench.cli import plain_text
from mamlbench.cli.main import COMMANDS, main
from mamlbench.cli.plain_text import SIMILAR, plain
from mamlbench.cli.standard_streams import guard_streams
from mamlbench.errors import ExitCode

TINY = [
    "--ways",
    "3",
    "--queries",
    "2",
    "--test-episodes",
    "10",
    "--validation-episodes",
    "5",
    "--meta-batch-size",
    "2",
    "--iterations",
    "4",
]
ENCODINGS = ("cp1252", "ascii")


@pytest.fixture(params=ENCODINGS)
def printed(request, monkeypatch):
    """Run a command on a console of an encoding: ``code, out, err = printed("list")``."""

    def run(*arguments):
        streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=request.param) for name in ("stdout", "stderr")}
        for name, stream in streams.items():
            monkeypatch.setattr(sys, name, stream)
        guard_streams(arguments)
        code = main(arguments)
        texts = []
        for stream in streams.values():
            stream.flush()
            texts.append(stream.buffer.getvalue().decode(request.param, "replace"))
        return code, *texts

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_help(printed, command):
    code, out, err = printed(command, "--help")
    assert code == ExitCode.OK and "Usage: mamlbench" in out and not err and "�" not in out


COMMAND_LINES = (
    "list",
    "info maml",
    "info omniglot",
    "report FOLDER",
    "report FOLDER --notes --columns all",
    "report FOLDER --format md",
    "report FOLDER --across",
    "compare FOLDER FOLDER",
    "published omniglot",
    "plugins",
    "data list",
    "env",
    "schema record",
    "merge FOLDER --into OTHER",
    "publish FOLDER --to OTHER --dry-run",
    "run --algo unknown",
)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_output(printed, line, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    places = {"FOLDER": str(request.config.rootpath / "results" / "reference"), "OTHER": str(tmp_path / "other")}
    code, out, err = printed(*(places.get(part, part) for part in line.split()))
    assert code != ExitCode.INTERNAL and out + err
    if "--format" not in line:  # a document is UTF-8 wherever it goes
        assert "�" not in out + err and "?" not in out


@pytest.mark.slow
def test_a_run_and_its_report(printed, toy_plugin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ["run", "--algo", "fomaml", "--dataset", "toy", "--plugin", str(toy_plugin), *TINY, "-o", "backbone.width=8"]
    code, out, err = printed(*run)
    assert code == ExitCode.OK and "+-" in plain(out) and "fomaml on toy, seed 0" in err


def test_what_an_encoding_has_stays():
    assert "5 ± 1 →".encode("cp1252", plain_text.ERRORS) == b"5 \xb1 1 ->"
    assert "5 ± 1".encode("ascii", plain_text.ERRORS) == b"5 +- 1"


def test_similar_characters_are_ascii():
    assert all(text.isascii() for text in SIMILAR.values())
    assert plain("Ångström, θ ← Δ, 漢") == "Angstrom, theta <- Delta, ?"
