"""Without learn2learn the names are listed, and asking for one says how to install it."""

import sys

import pytest

from mamlbench.cli.main import main
from mamlbench.errors import ExitCode


@pytest.fixture
def without_learn2learn(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("learn2learn", "mamlbench_learn2learn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "learn2learn", None)


@pytest.mark.parametrize("name", ["l2l-maml", "l2l-reptile"])
def test_info_says_how_to_install_it(without_learn2learn, capsys, name):
    assert main(["info", name]) == ExitCode.USAGE
    err = " ".join(capsys.readouterr().err.split())
    assert f"algorithm '{name}' (mamlbench-learn2learn): What begins with l2l- needs learn2learn" in err
    assert "pip install --no-deps -r requirements.txt" in err and '--config-settings "--build-option=build_ext"' in err


def test_listing_works(without_learn2learn, capsys):
    assert main(["list", "algorithms"]) == 0
    assert "l2l-maml" in capsys.readouterr().out


def test_a_run_says_it_too(without_learn2learn, capsys, tmp_path):
    assert main(["run", "--algo", "l2l-maml", "--results-dir", str(tmp_path)]) == ExitCode.USAGE
    assert "needs learn2learn" in " ".join(capsys.readouterr().err.split())
