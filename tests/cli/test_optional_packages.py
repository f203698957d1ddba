"""Names that an optional package registers: the error for such a name says how to install the package."""

from importlib import metadata

import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode

INSTALL = "pip install --no-deps -r plugins/mamlbench-learn2learn/requirements.txt"


@pytest.fixture(autouse=True)
def without_the_package(monkeypatch):
    """The installed plugins without mamlbench-learn2learn, which may or may not be installed."""
    points = [point for point in metadata.entry_points(group="mamlbench") if not point.value.endswith("learn2learn")]
    monkeypatch.setattr(metadata, "entry_points", lambda **selection: points)


@pytest.mark.parametrize(
    "words",
    [
        ("info", "l2l-maml"),
        ("check", "l2l-tasks"),
        ("run", "--algo", "l2l-reptile"),
        ("run", "--algo", "maml", "--sampler", "l2l-tasks"),
    ],
    ids=" ".join,
)
def test_the_error_says_how_to_install_the_package(capsys, words):
    assert main(words) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert f"Error: '{words[-1]}' is not installed. It comes with mamlbench-learn2learn" in err
    assert f"Error: {INSTALL}\n" in err
    assert "Unknown" not in err and "Did you mean" not in err


def test_an_unknown_name_gets_a_similar_one(capsys):
    assert main(["info", "l2l-mamal"]) == ExitCode.USAGE
    assert "Nothing is called 'l2l-mamal'. Did you mean 'maml'?" in capsys.readouterr().err


def test_a_plugin_file_declares_names_and_registered_names_take_precedence(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "import mamlbench\n@mamlbench.hookimpl\ndef mamlbench_optional_packages(register):\n"
        "    register('their-maml', 'maml', install='Ask them.')\n"
    )
    assert main(["info", "their-maml", "--plugin", str(file)]) == ExitCode.USAGE
    assert "'their-maml' is not installed. Ask them." in capsys.readouterr().err
    assert main(["info", "maml", "--plugin", str(file)]) == ExitCode.OK
