"""The command line as a whole: help, exit codes, one sentence per error."""

import os
import subprocess
import sys

import click
import pytest

import mamlbench
from mamlbench.cli import main as entry
from mamlbench.cli.main import COMMANDS, main
from mamlbench.errors import ConfigError, DataError, ExitCode, NothingToDoError, RunFailedError

HEAVY = ["torch", "torchvision", "pandas", "scipy", "matplotlib"]


@pytest.fixture
def failing(monkeypatch):
    """Make ``mamlbench env`` raise what is given."""

    def fail(error):
        @click.command()
        @click.option("--debug", is_flag=True, expose_value=False, callback=_debug)
        def command():
            raise error

        module = type(sys)("failing")
        module.command = command
        monkeypatch.setattr(entry.importlib, "import_module", lambda name: module)

    return fail


def _debug(context, param, value):
    entry.session_of(context).debug |= value


@pytest.mark.parametrize(
    "error, code, message",
    [
        (ConfigError("One.", "Two."), ExitCode.USAGE, "Error: One.\nError: Two.\n"),
        (DataError("No data."), ExitCode.USAGE, "Error: No data.\n"),
        (RunFailedError("NaN."), ExitCode.RUN_FAILED, "Error: NaN.\n"),
        (NothingToDoError("Nothing."), ExitCode.NOTHING, "Error: Nothing.\n"),
        (click.BadParameter("bad"), ExitCode.USAGE, "Error: Invalid value: bad\n"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "Interrupted.\n"),
        (ZeroDivisionError("division by zero"), ExitCode.INTERNAL, "Error: ZeroDivisionError: division by zero\n"),
    ],
    ids=["config", "data", "run failed", "nothing", "click", "interrupt", "internal"],
)
def test_every_error_has_a_message_and_an_exit_code(failing, capsys, error, code, message):
    failing(error)
    assert main(["env"]) == code
    shown = capsys.readouterr()
    assert message in shown.err and "Traceback" not in shown.err and shown.out == ""


def test_debug_adds_the_traceback_to_the_same_exit_code(failing, capsys):
    failing(ConfigError("One."))
    assert main(["env", "--debug"]) == ExitCode.USAGE
    err = capsys.readouterr().err
    assert "Traceback" in err and err.endswith("Error: One.\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["lst"], "Unknown command 'lst'. Did you mean 'list'?"),
        (["list", "--jsn"], "--json"),
        (["list", "algorithm5"], "There is no kind 'algorithm5'. Did you mean 'algorithms'?"),
        (["run"], "Missing option '--algo'"),
        (["info", "mml"], "Nothing is called 'mml'. Did you mean 'maml'?"),
        (["run", "--algo", "maml", "-o", "inner_lr"], "NAME=VALUE, as in -o inner_lr=0.4, not 'inner_lr'"),
        (["run", "--algo", "maml", "--ways", "0"], "Invalid value for '--ways'"),
        (["list", "--plugin", "nowhere.py", "--debugg"], "--debug"),
        (["run", "--algo", "maml", "--plugin", "nowhere.py"], "There is no plugin file 'nowhere.py'"),
    ],
)
def test_usage_errors(capsys, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert message in shown.err.replace(f"{tmp_path}/", "") and "Traceback" not in shown.err


def test_help_of_every_command(capsys):
    assert main(["--help"]) == ExitCode.OK
    overview = capsys.readouterr().out
    for name, summary in COMMANDS.items():
        assert name in overview and summary in overview
        assert main([name, "--help"]) == ExitCode.OK
        assert f"mamlbench {name}" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == ExitCode.OK
    assert mamlbench.__version__ in capsys.readouterr().out


def test_a_closed_pipe_is_no_error():
    listing = subprocess.Popen(
        [sys.executable, "-P", "-m", "mamlbench.cli", "list", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    listing.stdout.close()
    assert listing.stderr.read() == b""
    listing.stderr.close()
    assert listing.wait() == ExitCode.OK


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["plugins"], ["list", "--json"], ["completion", "bash"]])
def test_quick_commands_import_nothing_heavy(arguments):
    code = (
        f"import sys; from mamlbench.cli.main import main; code = main({arguments});"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout
    assert done.stderr == "[]\n"


def test_a_plugin_adds_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mamlbench.toml").write_text('plugins = ["greeter.py"]')
    (tmp_path / "greeter.py").write_text(
        "import click, mamlbench\n"
        "@mamlbench.hookimpl\n"
        "def mamlbench_add_commands(cli):\n"
        "    @cli.command()\n"
        "    def greet():\n"
        "        'Say hello.'\n"
        "        click.echo('hello')\n"
    )
    assert main(["--help"]) == ExitCode.OK
    assert "greet       Say hello." in capsys.readouterr().out
    assert main(["greet"]) == ExitCode.OK
    assert capsys.readouterr().out == "hello\n"


def completed(words, shell="bash"):
    environment = {"_MAMLBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "mamlbench.cli"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_completes_real_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "omniglot-maml.json").write_text("{}")
    assert completed("mamlbench run --algo fo") == ["fomaml", "fomaml-rl"]
    data_sets = completed("mamlbench run --algo maml --dataset ")
    assert {"cifar-fs", "glyphs", "omniglot", "torchvision:"} <= {*data_sets}
    assert completed("mamlbench run --algo maml --backbone conv4-p") == ["conv4-pooled"]
    assert completed("mamlbench info fix") == ["fixed-pool"]
    assert completed("mamlbench run --launcher pro") == completed("mamlbench suite --launcher pro") == ["processes"]
    assert completed("mamlbench evaluate ") == ["results/omniglot-maml.json"]
    assert completed("mamlbench evaluate results/om") == ["results/omniglot-maml.json"]
    assert "evaluate" in completed("mamlbench ")
