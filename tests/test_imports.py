"""The command line answers at once because nothing it starts with imports anything heavy."""

import subprocess
import sys

import pytest

import mamlbench

HEAVY = ["torch", "torchvision", "pandas", "scipy", "matplotlib"]


@pytest.mark.parametrize(
    "code",
    [
        "import mamlbench, mamlbench.plugin, mamlbench.record, mamlbench.spec",
        "import mamlbench.plugin as p; assert p.load_plugins().registry.names('algorithm')",
        "import mamlbench.record as r; r.current_environment()",
    ],
    ids=["import", "load plugins", "environment"],
)
def test_nothing_heavy_is_imported(code):
    code += f"; import sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mamlbench' has no attribute 'nothing'"):
        mamlbench.nothing  # noqa: B018
