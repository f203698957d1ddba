"""Published numbers, as data: one TOML file for each group of sources."""

from pathlib import Path

from mamlbench import hookimpl
from mamlbench.plugin.hookspecs import RegisterPublished


@hookimpl
def mamlbench_register_published(register: RegisterPublished) -> None:
    """Register the files beside this one."""
    for file in sorted(Path(__file__).parent.glob("*.toml")):
        register(file)
