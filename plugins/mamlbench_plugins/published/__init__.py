"""Published numbers: one TOML file per group of sources; and a suite for each table that can be run again."""

from pathlib import Path

from mamlbench.api import RegisterPublished, RegisterSuite, hookimpl

HERE = Path(__file__).parent


@hookimpl
def mamlbench_register_published(register: RegisterPublished) -> None:
    """Register the TOML files in this folder."""
    for file in sorted(HERE.glob("*.toml")):
        register(file)


@hookimpl
def mamlbench_register_suites(register: RegisterSuite) -> None:
    """Register the suites in the folder ``suites``, each by the name of its file and with its own summary."""
    for file in sorted((HERE / "suites").glob("*.toml")):
        first_line = file.read_text(encoding="utf-8").partition("\n")[0]
        register(file.stem, file, summary=first_line.removeprefix('summary = "').removesuffix('"'))
