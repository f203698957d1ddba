"""``mamlbench publish``: records and models to the Hugging Face Hub, or a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from mamlbench.cli import shared_options as shared
from mamlbench.errors import ConfigError, ExitCode

EPILOG = """\b
Examples:
  mamlbench publish results/NAME.json --to OWNER/NAME            a repository of models on the Hub
  mamlbench publish results --to ./published                     a folder with the same files and page
  mamlbench publish results --to OWNER/NAME --dry-run"""


@click.command(epilog=EPILOG)
@click.argument("records", nargs=-1, required=True, type=shared.RecordPath(), metavar="RECORD...")
@click.option(
    "--to", "place", required=True, metavar="OWNER/NAME", help="Repository of the Hub; or a folder, as ./DIR."
)
@click.option("--private", is_flag=True, help="Make the repository private if it is new.")
@click.option("--dry-run", is_flag=True, help="Show what would be published, and publish nothing.")
@shared.debug
def command(*, records: tuple[Path, ...], place: str, private: bool, dry_run: bool) -> ExitCode:
    """Publish finished records (files or folders) with their models and scores, as one commit.

    A page has the table, settings and SHA-256 of every file. Images and checkpoints are not published; a record that
    was changed since it was written is refused. The Hub needs 'pip install mamlbench[hub]' and 'hf auth login'.
    """
    from mamlbench.record import ResultStore
    from mamlbench.report.hub.repository import upload
    from mamlbench.report.hub.staging import stage

    missing = [path for path in records if not path.exists()]
    if missing:
        raise ConfigError(*(f"'{path}' does not exist. Name a record, or a folder of them." for path in missing))
    paths = [file for path in records for file in (ResultStore(path).paths() if path.is_dir() else [path])]
    with tempfile.TemporaryDirectory(prefix="mamlbench-publish-") as temporary:
        folder = Path(temporary)
        staged = stage(paths, folder, place)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        size = sum(path.stat().st_size for path in files)
        about = f"{len(staged)} record{'s' * (len(staged) > 1)}, {len(files)} files, {size / 1e6:.1f} MB"
        if dry_run:
            for path in files:
                click.echo(path.relative_to(folder).as_posix())
            click.echo(f"Would be published to {place}: {about}.", err=True)
            return ExitCode.OK
        address = upload(folder, place, private=private, message=f"Publish {about} by mamlbench")
    click.echo(f"Published: {about}: {address}", err=True)
    return ExitCode.OK
