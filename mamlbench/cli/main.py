"""The entry point: finds the command, and converts every result and error to an exit code."""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mamlbench import __version__
from mamlbench.cli.missing_packages import explain_missing_package
from mamlbench.cli.plugin_commands import plugin_commands
from mamlbench.cli.session import Session
from mamlbench.cli.system_errors import explain_system_error
from mamlbench.errors import ConfigError, ExitCode, MamlbenchError, describe_error, did_you_mean
from mamlbench.interrupts import interrupted, is_interrupt
from mamlbench.plugin.failure import explain_failure

COMMANDS = {
    "run": "Meta-train, validate, meta-test and record.",
    "resume": "Go on with a run that was interrupted or killed.",
    "evaluate": "Test a trained model under another protocol.",
    "transfer": "Test trained models on several data sets: one table.",
    "verify": "Check records, models and data, and repeat some test episodes.",
    "suite": "Run a grid of algorithms, settings and seeds.",
    "tune": "Tune the options of methods, each in the same number of trials.",
    "adapt": "Fine-tune a trained model on your own images.",
    "report": "Show recorded runs: a table, a page, a figure.",
    "serve": "Show the page of a results folder in a browser, updating.",
    "merge": "Unite folders of records; nothing is overwritten.",
    "publish": "Publish records and models on the Hugging Face Hub.",
    "fetch": "Fetch published records and models, and check their hashes.",
    "compare": "Compare records with earlier ones: the gate of a CI job.",
    "history": "Show score and time over the commits of a results folder.",
    "bench": "Time the engines, and other libraries, on this machine.",
    "list": "List algorithms, data sets, backbones, samplers, launchers, ...",
    "info": "Show one of them with its options.",
    "data": "List, prepare and verify data sets, and show where they are.",
    "published": "Show published numbers, with their sources.",
    "reproduce": "Run a published number again, with a verdict.",
    "speedrun": "Measure how fast a target score is reached.",
    "plugins": "Show what is installed, and what failed to load.",
    "new": "Generate a plugin: a file or a package to start from.",
    "check": "Check that a plugin meets its contract, on a tiny task.",
    "schema": "Print the JSON schema of suites, run specs or records.",
    "env": "Describe this machine, its software and the folders in use.",
    "completion": "Print the shell completion script.",
}
"""Name to summary, in the order of the help page; each command is in mamlbench/cli/commands/NAME.py."""

EPILOG = """\b
Examples:
  mamlbench run --algo maml                                  on glyphs, no download needed
  mamlbench run --algo maml --dataset omniglot --data-dir DIR
  mamlbench run --algo maml --algo reptile --seeds 3         one table
  mamlbench suite FILE.toml                                  a grid of runs; skips those already finished
  mamlbench info maml                                        its options

\b
Exit codes: 0 ok, 1 regression or failed check, 2 interrupted, 3 internal error,
4 usage or configuration, 5 nothing to do, to compare or to check, 6 a run failed."""


class Commands(click.Group):
    """A command group that imports commands on first use and includes those of plugins."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(self._from_plugins(context))]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            command = importlib.import_module(f"mamlbench.cli.commands.{name}").command
            assert isinstance(command, click.Command)
            return command
        added = self._from_plugins(context).get(name)
        session_of(context).runs_plugin_command = added is not None
        return added

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        if self.get_command(context, args[0]) is None and not args[0].startswith("-"):
            raise click.UsageError(f"Unknown command '{args[0]}'.{did_you_mean(args[0], self.list_commands(context))}")
        if args[0] != "run":
            _refuse_ranks(args[0])
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from_plugins = [
            (name, command.get_short_help_str()) for name, command in sorted(self._from_plugins(context).items())
        ]
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items(), *from_plugins])

    def _from_plugins(self, context: click.Context) -> dict[str, click.Command]:
        session = session_of(context)
        try:
            plugins = session.plugins_with_errors(quiet="_MAMLBENCH_COMPLETE" in os.environ)
        except MamlbenchError:  # a broken mamlbench.toml: the command that needs it reports the error
            return {}
        commands, problems = plugin_commands(plugins, COMMANDS)
        session.warn(problems)
        return commands


def _refuse_ranks(command: str) -> None:
    """Raise ConfigError if torchrun has started several processes of a command that would do the same in each."""
    from mamlbench.runner.ranks.rank_place import rank_place

    if rank_place().count > 1:
        raise ConfigError(f"torchrun starts the processes of 'mamlbench run' alone: start '{command}' without it.")


def session_of(context: click.Context) -> Session:
    """Return the session of the current call."""
    return context.ensure_object(Session)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mamlbench")
def cli() -> None:
    """Benchmark few-shot meta-learning: MAML, first-order MAML, Reptile, pretraining and yours, compared fairly."""


def entry() -> None:
    """Run the command line and exit with its code; the program ``mamlbench`` does so from its first line on."""
    from mamlbench.cli.__main__ import entry as program

    program()


def main(arguments: Sequence[str]) -> int:
    """Run the command line. Errors are printed to stderr and converted to exit codes."""
    session = Session()
    try:
        result = cli.main(list(arguments), prog_name="mamlbench", standalone_mode=False, obj=session)
    except SystemExit as leave:
        return _code_of_exit(leave, session)
    except BaseException as error:  # a plugin may raise anything
        cause = error.__cause__ if isinstance(error, click.Abort) else error
        # an import that is interrupted may end in an error of its own: scipy's in a RecursionError
        if cause is None or is_interrupt(cause) or interrupted():
            click.echo("Interrupted.", err=True)
            return ExitCode.INTERRUPTED
        if session.debug:
            traceback.print_exc()
        return _explain(cause, session)
    finally:
        session.logs.close()
    return result if isinstance(result, int) else ExitCode.OK


def _code_of_exit(leave: SystemExit, session: Session) -> int:
    """Return the exit code if something called ``sys.exit``: click, a plugin's command, or a plugin where it must not.

    click does so after shell completion and if a pipe is closed (``mamlbench list | head``): that is no error.
    """
    frames = traceback.extract_tb(leave.__traceback__)
    if frames and Path(frames[-1].filename).is_relative_to(Path(click.__file__).parent):
        return ExitCode.OK
    if session.runs_plugin_command and isinstance(leave.code, int | None):
        return leave.code or ExitCode.OK
    click.echo(f"Error: {explain_failure(leave)}", err=True)
    return ExitCode.RUN_FAILED


def _explain(error: BaseException, session: Session) -> int:
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.USAGE
    if missing := explain_missing_package(error):
        click.echo(f"Error: {missing}", err=True)
        return ExitCode.USAGE
    if isinstance(error, MamlbenchError):
        for line in str(error).splitlines():
            click.echo(f"Error: {line}", err=True)
        return error.exit_code
    blame = session.blame(error)
    if not blame and (sentence := explain_system_error(error)):
        click.echo(f"Error: {sentence}", err=True)
        return ExitCode.USAGE
    click.echo(f"Error: {describe_error(error)}{blame and f', in {blame}'}", err=True)
    if blame:
        return ExitCode.RUN_FAILED
    click.echo("This is a bug in mamlbench or in a plugin. Run the command again with --debug and report it.", err=True)
    return ExitCode.INTERNAL
