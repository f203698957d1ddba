"""The command line beside broken plugins: they are named, and everything else works."""

import json

import pytest

from mamlbench.errors import ExitCode

BROKEN = {
    "syntax": "def (:\n",
    "imports": "import nothing_of_this_name\n",
    "exits": "import sys\nsys.exit(0)\n",
    "stops": "class Stop(BaseException): ...\nraise Stop\n",
}
COMMANDS = """
import sys
import click, mamlbench

@mamlbench.hookimpl
def mamlbench_add_commands(cli):
    @cli.command()
    def run(): "A taken name."

    @cli.command()
    def leaves(): sys.exit(5)
"""


@pytest.fixture
def configured(project):
    """A project whose mamlbench.toml lists broken plugins, and a file that is missing."""
    project.write(**BROKEN)
    (project.path / "mamlbench.toml").write_text(f"plugins = {json.dumps([*(f'{n}.py' for n in BROKEN), 'gone.py'])}")
    return project


@pytest.mark.parametrize("arguments", [["list"], ["info", "accuracy"], ["published", "omniglot"], ["--help"]])
def test_broken_plugins_are_named_with_their_line_and_affect_nothing_else(configured, arguments):
    done = configured.run(*arguments)
    assert done.out
    for name, line in {"syntax": 1, "imports": 1, "exits": 2, "stops": 2}.items():
        (warning,) = [text for text in done.err.splitlines() if f"Plugin '{name}'" in text]
        assert warning.startswith("Warning: ") and f"{name}.py, line {line}: " in warning
    assert "Plugin 'gone'" in done.err and len(done.err.splitlines()) == len(BROKEN) + 1


def test_plugins_shows_what_failed(configured):
    done = configured.run("plugins", "--json")
    broken = {plugin["name"]: plugin["error"] for plugin in done.json() if plugin["error"]}
    assert broken.keys() == {*BROKEN, "gone"} and done.err == ""
    assert broken["imports"].startswith(
        "ModuleNotFoundError: No module named 'nothing_of_this_name' (imports.py, line 1"
    )
    assert "broken SyntaxError" in configured.run("plugins").out


def test_a_broken_file_that_was_asked_for_is_an_error(project):
    project.write(**BROKEN)
    for name in BROKEN:
        done = project.run("run", "--algo", "maml", "--plugin", f"{name}.py", expect=ExitCode.USAGE)
        assert len(done.err.splitlines()) == 1 and f"{name}.py' cannot be loaded" in done.err


def test_markup_and_control_characters_of_a_plugin_are_shown_as_they_are(project):
    project.write(
        odd="import mamlbench\nfrom mamlbench.api import TaskSampler\n@mamlbench.hookimpl\n"
        "def mamlbench_register_samplers(register):\n"
        "    register('[red]od\\x1b[0m', TaskSampler, summary='[/bold] two\\nlines')\n"
    )
    for arguments in (["list", "samplers"], ["plugins"], ["info", "[red]od\x1b[0m"]):
        done = project.run(*arguments, "--plugin", "odd.py")
        assert "[red]od" in done.out and "\x1b" not in done.out
    assert "[/bold] two lines" in project.run("list", "samplers", "--plugin", "odd.py").out


def test_what_a_plugin_prints_while_it_is_loaded_does_not_get_into_json(project):
    project.write(loud="print('hello from a plugin')")
    done = project.run("list", "--json", "--plugin", "loud.py")
    assert done.json() and "hello from a plugin" in done.err


def test_a_command_whose_name_is_taken_is_left_out_and_a_commands_own_exit_code_is_kept(project):
    project.write(commands=COMMANDS, again=COMMANDS)
    (project.path / "mamlbench.toml").write_text('plugins = ["commands.py", "again.py"]')
    done = project.run("leaves", expect=ExitCode.NOTHING)
    assert done.err.count("Command 'run' of") == 2 and "a built-in command has the same name" in done.err
    assert done.err.count("Command 'leaves' of") == 1 and "another plugin's command has the same name" in done.err
