"""``mamlbench fetch``: published records and models from the Hugging Face Hub, or a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from mamlbench.cli import shared_options as shared
from mamlbench.errors import ExitCode

EPILOG = """\b
Examples:
  mamlbench fetch OWNER/NAME                                     into the folder results
  mamlbench fetch OWNER/NAME --revision v1 --into others
  mamlbench fetch ./published --into others"""


@click.command(epilog=EPILOG)
@click.argument("place", metavar="OWNER/NAME")
@click.option("--into", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Folder.")
@click.option("--revision", help="Branch, tag or commit.  [default: the latest]")
@shared.debug
def command(*, place: str, into: Path, revision: str | None) -> ExitCode:
    """Fetch what 'mamlbench publish' has published: records, models and scores, into a folder of records.

    Every record and file has to have the SHA-256 that was recorded; else nothing is taken. Nothing is unpickled or run,
    and nothing is overwritten. 'mamlbench verify' then repeats test episodes, if you have the data.
    """
    from mamlbench.record.merge_folders import FolderMerge
    from mamlbench.report.hub.repository import download
    from mamlbench.report.hub.staging import accept

    with tempfile.TemporaryDirectory(prefix="mamlbench-fetch-") as temporary:
        fetched, accepted = Path(temporary) / "fetched", Path(temporary) / "accepted"
        accepted.mkdir()
        accept(download(place, fetched, revision), accepted)
        done = list(FolderMerge([accepted], into).merge())
    for merged in done:
        reason = f" ({merged.reason})" if merged.reason else ""
        click.echo(f"{merged.target or merged.source.name}: {merged.state}{reason}")
    return ExitCode.REGRESSION if any(merged.state == "left out" for merged in done) else ExitCode.OK
