"""What is imported, and from where."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import mamlbench

# The command line answers at once because nothing it starts with imports any of these. -P leaves the current folder
# out of the path: a checkout must not stand in for what is installed.
HEAVY = ["torch", "torchvision", "pandas", "scipy", "matplotlib"]


@pytest.mark.parametrize(
    "code",
    [
        "import mamlbench, mamlbench.plugin, mamlbench.record, mamlbench.run_spec",
        "import mamlbench.plugin as p; assert p.load_plugins().registry.names('algorithm')",
        "import mamlbench.record as r; r.current_environment()",
    ],
    ids=["import", "load plugins", "environment"],
)
def test_nothing_heavy_is_imported(code):
    code += f"; import sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(".tox" not in Path(sys.prefix).parts, reason="outside tox the checkout may be what is installed")
@pytest.mark.parametrize("package", ["mamlbench", "mamlbench_plugins"])
def test_under_tox_the_installed_wheel_is_tested(package):
    assert Path(importlib.import_module(package).__file__).is_relative_to(sys.prefix)


def test_an_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mamlbench' has no attribute 'nothing'"):
        mamlbench.nothing  # noqa: B018
