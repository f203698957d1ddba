"""Integers that are negative, zero or huge are refused by one clear sentence, wherever they are given."""

import click
import pytest
from pydantic import TypeAdapter

import mamlbench
from mamlbench.cli.main import COMMANDS, cli
from mamlbench.errors import ConfigError, ExitCode
from mamlbench.plugin import load_plugins
from mamlbench.run_spec import RunRequest
from mamlbench.runner.component_options import complete_component
from mamlbench.suite import read_suite
from mamlbench.suite.suite_file import SuiteFile

TOO_LARGE = 2**63
KINDS = ("algorithm", "dataset", "backbone", "sampler", "launcher")


def integer_options():
    """Command, flag and type of every option that takes an integer."""
    context = click.Context(cli)
    for name in COMMANDS:
        for option in cli.get_command(context, name).params:
            if isinstance(option.type, click.types.IntParamType):
                yield name, option.opts[0], option.type


def integer_fields(model):
    """Names of the fields that take an integer, alone or in a list."""
    schema = TypeAdapter(model).json_schema()["properties"]
    return [name for name, field in schema.items() if "'integer'" in str(field)]


@pytest.mark.parametrize(("command", "flag", "type_"), [*integer_options()], ids=str)
def test_the_command_line_names_the_range(call, command, flag, type_):
    assert isinstance(type_, click.IntRange) and type_.min is not None and type_.max is not None
    for value in (type_.min - 1, TOO_LARGE, -TOO_LARGE, "9" * 5000):
        code, out, err = call(command, flag, str(value))
        assert code == ExitCode.USAGE and out == "" and flag in err and "bug" not in err


@pytest.mark.parametrize("name", integer_fields(RunRequest))
@pytest.mark.parametrize("value", [-1, TOO_LARGE, 10**400])
def test_python_names_the_setting(name, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"'{name}'"):
        mamlbench.run("maml", **{name: value})
    assert not list(tmp_path.iterdir())


def test_the_last_seed_is_in_range(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="last training seed"):
        mamlbench.run("maml", seed=TOO_LARGE - 1, seeds=2)


@pytest.mark.parametrize("value", [-1, TOO_LARGE])
def test_images_that_are_held_out_are_counted_from_zero(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"hold_out is a number of images per class, 0 or more, not {value}"):
        mamlbench.adapt("model", "folder", hold_out=value)


@pytest.mark.parametrize("name", integer_fields(SuiteFile))
@pytest.mark.parametrize("value", [-1, TOO_LARGE])
def test_a_suite_names_the_line(tmp_path, name, value):
    (tmp_path / "suite.toml").write_text(f'algorithm = "maml"\n{name} = {value}\n')
    with pytest.raises(ConfigError, match=f"suite.toml:2: {name}: .*not {value}"):
        read_suite(tmp_path / "suite.toml")


@pytest.mark.parametrize("kind", KINDS)
def test_the_options_of_what_ships_have_bounds(kind):
    registry = load_plugins().registry
    plugins = {entry.name: entry.load() for entry in registry.entries(kind)}
    for name, plugin in plugins.items():
        for option in integer_fields(plugin.Options):
            for value in (-1, str(TOO_LARGE), "1e999", "-Infinity"):
                with pytest.raises(ConfigError, match=option):
                    complete_component(kind, plugin, name, {}, {option: value})


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "Infinity", "1e400"])
@pytest.mark.parametrize("option", ["inner_lr", "outer_lr", "clip"])
def test_a_rate_is_a_finite_number(option, value):
    with pytest.raises(ConfigError, match=option):
        complete_component("algorithm", load_plugins().registry.load("algorithm", "maml"), "maml", {}, {option: value})


@pytest.mark.parametrize("value", ["inf", "nan"])
@pytest.mark.parametrize("flag", ["--target", "--test-until"])
def test_scores_and_widths_are_finite(call, flag, value):
    code, out, err = call("run", "--algo", "maml", flag, value)
    assert code == ExitCode.USAGE and out == "" and value in err
