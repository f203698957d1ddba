"""Write the table of layers into docs/explanation.md, from the import contracts in pyproject.toml.

    python docs/make_layers.py

What a package holds is the first line of its docstring. A test compares the page with what this would write.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("explanation.md")
BEGIN, END = "<!-- written by docs/make_layers.py -->\n", "<!-- end of what it writes -->\n"


def contracts() -> list[dict[str, Any]]:
    """The import contracts, in their order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["tool"]["importlinter"]["contracts"])


def summary(module: str) -> str:
    """The first line of a module's docstring."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    return (docstring or "").partition("\n")[0].replace("``", "`").replace("|", "\\|")


def layers() -> Iterator[str]:
    """The rows of the table of layers, the highest first."""
    (contract,) = [contract for contract in contracts() if contract["type"] == "layers"]
    for number, line in enumerate(contract["layers"], start=1):
        for place, module in enumerate(re.split(r"\s*[|:]\s*", line)):
            yield f"| {number if place == 0 else ''} | `{module}` | {summary(module)} |"


def prohibitions() -> Iterator[str]:
    """The rows of the table of what must not be imported."""
    for contract in contracts():
        if contract["type"] == "forbidden":
            sources, forbidden = (
                ", ".join(f"`{module}`" for module in contract[key]) for key in ("source_modules", "forbidden_modules")
            )
            yield f"| {contract['name']} | {sources} | {forbidden} |"


def tables() -> str:
    """What stands between the markers."""
    return "\n".join(
        [
            "| layer | package | what it holds |",
            "|---|---|---|",
            *layers(),
            "",
            "A package imports from lower layers only, never from one of its own layer or above. Beyond that:",
            "",
            "| rule | these | import none of |",
            "|---|---|---|",
            *prohibitions(),
            "",
        ]
    )


def written(page: str) -> str:
    """The page with its tables as they should be. Raises ValueError if a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} has no '{BEGIN.strip()}' and '{END.strip()}'")
    return before + BEGIN + "\n" + tables() + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
