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
  mamlbench schema record"""


@click.command(epilog=EPILOG)
@click.argument("document", type=click.Choice(["suite", "run", "record"]), default="suite")
@shared.plugin_files
@shared.debug
@click.pass_context
def command(context: click.Context, *, document: str) -> None:
    """Print the JSON schema of suite files (the default), of run specs, or of run records.

    The schemas of suites and specs contain the names and options of every installed plugin, for completion in editors.
    """
    plugins = session_of(context).plugins_with_errors()

    from mamlbench.runner.json_schemas import record_schema, run_schema, suite_schema

    problems: list[str] = []
    if document == "record":
        schema = record_schema()
    else:
        schema = (suite_schema if document == "suite" else run_schema)(plugins.registry, problems)
    for problem in problems:
        click.echo(f"Omitted: {problem}", err=True)
    click.echo(json.dumps(schema, indent=1, ensure_ascii=False))
