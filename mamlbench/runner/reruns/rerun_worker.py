"""Script that runs one spec in its own process, with the code of some revision on the import path.

Its imports come from that revision, so it may use only what all revisions have.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> int:
    """Read the spec, the plugins and the folders from stdin, and run it; return 0 if a record was written."""
    from mamlbench.errors import MamlbenchError
    from mamlbench.plugin import load_plugins
    from mamlbench.run_spec import Folders, RunSpec
    from mamlbench.runner.launch import launch

    work = json.load(sys.stdin)
    try:
        plugins = load_plugins(map(Path, work["plugins"]))
        launch([RunSpec.model_validate(work["spec"])], plugins, Folders.model_validate(work["folders"]))
    except (MamlbenchError, ValueError) as error:  # pydantic's errors are ValueErrors
        print("; ".join(str(error).split("\n")), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
