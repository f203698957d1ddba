"""Names that an optional package registers: the error for such a name says how to install the package."""

from importlib import metadata

import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode

INSTALL = "pip install --no-deps -r plugins/mamlbench-learn2learn/requirements.txt"
OPTIONAL = ("mamlbench_learn2learn", "mamlbench_peers")


@pytest.fixture(autouse=True)
def without_the_package(monkeypatch):
    """The installed plugins without the optional packages, which may or may not be installed."""
    every_point = metadata.entry_points
    points = metadata.EntryPoints(point for point in every_point(group="mamlbench") if point.value not in OPTIONAL)
    monkeypatch.setattr(
        metadata, "entry_points", lambda **selection: points if selection == {"group": "mamlbench"} else every_point()
    )


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


@pytest.mark.parametrize("name", ["learn2learn", "higher", "torchopt", "iteryne"])
def test_the_bench_says_how_to_install_a_peer(capsys, name):
    assert main(["bench", "--peer", name, "--setting", "omniglot-5w1s"]) == ExitCode.USAGE
    err = " ".join(capsys.readouterr().err.split())
    assert f"'{name}' is not installed. It is a peer of mamlbench-peers" in err
    assert "pip install ./plugins/mamlbench-peers" in err


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
