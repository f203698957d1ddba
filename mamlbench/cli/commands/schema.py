"""``mamlbench schema``: JSON schemas for editors and for programs that read or write mamlbench's files."""

from __future__ import annotations

import json

import click

from mamlbench.cli import shared_options as shared
from mamlbench.cli.main import session_of

EPILOG = """\b
Examples:
  mamlbench schema > suite.schema.json      then, as a suite file's first line: #:schema suite.schema.json
  mamlbench schema run
  mamlbench schema record
  mamlbench schema published"""


@click.command(epilog=EPILOG)
@click.argument("document", type=click.Choice(["suite", "run", "record", "published"]), default="suite")
@shared.plugin_files
@shared.debug
@click.pass_context
def command(context: click.Context, *, document: str) -> None:
    """Print the JSON schema of suite files (the default), of run specs, run records, or files of published numbers.

    The schemas of suites and specs contain the names and options of every installed plugin, for completion in editors.
    """
    plugins = session_of(context).plugins_with_errors()

    from mamlbench.runner.json_schemas import published_schema, record_schema, run_schema, suite_schema

    problems: list[str] = []
    if document in ("record", "published"):
        schema = record_schema() if document == "record" else published_schema()
    else:
        schema = (suite_schema if document == "suite" else run_schema)(plugins.registry, problems)
    for problem in problems:
        click.echo(f"Omitted: {problem}", err=True)
    click.echo(json.dumps(schema, indent=1, ensure_ascii=False))
