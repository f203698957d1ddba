"""Published numbers: one TOML file per group of sources."""

from pathlib import Path

from mamlbench.api import RegisterPublished, hookimpl


@hookimpl
def mamlbench_register_published(register: RegisterPublished) -> None:
    """Register the TOML files in this folder."""
    for file in sorted(Path(__file__).parent.glob("*.toml")):
        register(file)
