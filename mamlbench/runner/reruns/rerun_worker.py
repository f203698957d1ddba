"""Runs one spec in this process: a script that ``rerun`` starts with the code of some revision on its path.

What it imports is that revision's, so that it may use nothing but what all of them have.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> int:
    """Read what to run from stdin; 0 where there is a record of it, whatever it says."""
    from mamlbench.errors import MamlbenchError
    from mamlbench.plugin import load_plugins
    from mamlbench.run_spec import Folders, RunSpec
    from mamlbench.runner.launch import launch

    given = json.load(sys.stdin)
    try:
        plugins = load_plugins(map(Path, given["plugins"]))
        launch([RunSpec.model_validate(given["spec"])], plugins, Folders.model_validate(given["folders"]))
    except (MamlbenchError, ValueError) as error:  # pydantic's errors are ValueErrors
        print("; ".join(str(error).split("\n")), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
