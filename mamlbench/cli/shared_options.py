"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from mamlbench.cli.main import session_of
from mamlbench.errors import ConfigError, DivergedError, ExitCode, MamlbenchError, RankLostError
from mamlbench.run_spec import PRECISIONS
from mamlbench.run_spec.bounds import MOST

if TYPE_CHECKING:
    from mamlbench.api import Launcher
    from mamlbench.plugin import Plugins

LAUNCHER = "launcher."

Command = TypeVar("Command", bound=Callable[..., Any])


class Registered(click.ParamType[str]):
    """A registered name of one kind or any. The shell completes it; planning validates it, with all other errors."""

    def __init__(self, kind: str | None = None) -> None:
        self.kind = kind
        self.name = kind or "name"

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            entries = session_of(context).plugins_with_errors(quiet=True).registry.entries(self.kind)
        except MamlbenchError:
            return []
        names = [(entry.prefix or entry.name, entry.summary) for entry in entries]
        return [CompletionItem(name, help=summary) for name, summary in names if name.startswith(incomplete)]


class RecordPath(click.Path):
    """A record, a model or a folder. The shell also completes the names of records in the results folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            folder = session_of(context).config.results_dir or Path("results")
        except MamlbenchError:
            folder = Path("results")
        records = [str(path) for path in sorted(folder.glob("*.json"))]
        matching = [CompletionItem(path) for path in records if path.startswith(incomplete)]
        return matching or super().shell_complete(context, param, incomplete)


def _set_debug(context: click.Context, param: click.Parameter, value: bool) -> None:
    session_of(context).debug |= value


def _set_verbose(context: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        session_of(context).logs.show()


def _set_log_file(context: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None and not context.resilient_parsing:
        session_of(context).logs.write_to(value)


def _set_plugins(context: click.Context, param: click.Parameter, value: tuple[Path, ...]) -> None:
    session_of(context).plugin_files += value


def debug(command: Command) -> Command:
    """Add the options that show what a command does: ``--debug``, ``-v`` and ``--log-file``."""
    for option in (_log_file, _verbose, _debug):
        command = option(command)
    return command


_debug = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_debug,
    help="Show the traceback of an error.",
)
_verbose = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_verbose,
    help="Print stages, choices of engines, uses of caches and checkpoints.",
)
_log_file = click.option(
    "--log-file",
    type=click.Path(path_type=Path, dir_okay=False),
    expose_value=False,
    is_eager=True,
    callback=_set_log_file,
    help="Append them to this file, with times.",
)
plugin_files = click.option(
    "--plugin",
    "plugin_files",
    multiple=True,
    type=click.Path(path_type=Path),
    expose_value=False,
    is_eager=True,
    callback=_set_plugins,
    help="A single-file plugin to load; may be repeated.",
    metavar="FILE.py",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
data_dir = click.option(
    "--data-dir",
    type=click.Path(exists=True, path_type=Path),
    help="Folder of data sets.  [default: MAMLBENCH_DATA, or data_dir in mamlbench.toml]",
)
results_dir = click.option(
    "--results-dir", type=click.Path(path_type=Path), help="Folder of records.  [default: results]"
)
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
PRECISION_HELP = "Precision; bf16 is autocast to bfloat16, and its speedup depends on the hardware (see env)."
precision = click.option(
    "--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True, help=PRECISION_HELP
)
precision_as_in_the_run = click.option(
    "--precision", type=click.Choice(PRECISIONS), help="Precision.  [default: as in the run]"
)
plugin_options = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the algorithm, or of another component as dataset.NAME, backbone.NAME, sampler.NAME; "
    "'mamlbench info NAME' lists them. May be repeated.",
)
launcher = click.option(
    "--launcher",
    type=Registered("launcher"),
    help="How and where runs are started; options as -o launcher.NAME=VALUE.  [default: processes]",
)
workers = click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that compute each run together, dividing its tasks; the same as -o launcher.ranks=N.",
)
launcher_options = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="launcher.NAME=VALUE",
    help="An option of the launcher, such as launcher.max_parallel=2. May be repeated.",
)
algorithm_options = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the algorithm, such as inner_lr=0.1. May be repeated.",
)
tested_options = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the algorithm, such as inner_lr=0.1, or of the data set as dataset.NAME. May be repeated.",
)
steps = click.option("--steps", type=click.IntRange(0, MOST), help="Adaptation steps; the same as -o test_steps=N.")

trackers = click.option(
    "--track",
    "trackers",
    multiple=True,
    type=Registered("tracker"),
    help="Also send curves to tensorboard, mlflow or wandb (optional extras); repeat for several.",
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
min_images = click.option(
    "--min-images",
    type=click.IntRange(1, MOST),
    metavar="N",
    help="Leave out classes with fewer than N images; the same as -o dataset.min_images=N.",
)


def with_min_images(options: Sequence[str], min_images: int | None) -> dict[str, str]:
    """Merge the values of ``-o`` and ``--min-images``."""
    return {**parse_options(options), **({} if min_images is None else {"dataset.min_images": str(min_images)})}


def with_steps(options: Sequence[str], steps: int | None) -> dict[str, Any]:
    """Merge the values of ``-o`` and ``--steps``."""
    return {**parse_options(options), **({} if steps is None else {"test_steps": steps})}


def parse_options(texts: Sequence[str], flag: str = "-o", example: str = "inner_lr=0.4") -> dict[str, str]:
    """Parse NAME=VALUE pairs. Raises click.UsageError that names every malformed one."""
    malformed = [text for text in texts if not all(text.partition("=")[:2])]
    if malformed:
        raise click.UsageError(
            f"{flag} takes NAME=VALUE, as in {flag} {example}, not {', '.join(map(repr, malformed))}."
        )
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def split_launcher_options(options: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the options of the run, and those of its launcher without their prefix."""
    run = {name: value for name, value in options.items() if not name.startswith(LAUNCHER)}
    return run, {name.removeprefix(LAUNCHER): options[name] for name in options.keys() - run.keys()}


def options_of_launcher_alone(options: tuple[str, ...], others_are_set: str) -> dict[str, str]:
    """Return the options of the launcher. Raises ConfigError for others, with how those are set."""
    others, launcher_options = split_launcher_options(parse_options(options, example="launcher.max_parallel=2"))
    if others:
        names = ", ".join(map(repr, others))
        raise ConfigError(f"-o sets options of the launcher here, and {names} is not one: {others_are_set}")
    return launcher_options


def exit_code_of_rank(work: Callable[[], object]) -> ExitCode:
    """Do the work of a process that is not the first of its run, and return its exit code; it prints nothing."""
    try:
        work()
    except (DivergedError, RankLostError):  # the first process has recorded this, or ended before
        return ExitCode.RUN_FAILED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def selected_launcher(name: str | None, options: Mapping[str, str], plugins: Plugins) -> Launcher | None:
    """Make the requested launcher with its options; None if neither a name nor an option is set."""
    if name is None and not options:
        return None
    from mamlbench.runner.launch import DEFAULT, make_launcher

    return make_launcher(name or DEFAULT, options, plugins)
