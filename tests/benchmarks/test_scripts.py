"""The scripts of benchmarks/ still fit the code: each shows its help, and each planted regression changes something."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
PLANTS = sorted((FOLDER / "plants").glob("*.py"))

HELP = """
import contextlib, io, runpy, sys
sys.path.insert(0, ".")
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        try:
            runpy.run_path(name, run_name="__main__")
        except SystemExit as end:
            assert end.code == 0, name
    assert "usage:" in shown.getvalue(), name
"""

UPDATES = """
import runpy, sys, torch
from mamlbench.api import Classification, EpisodeBatch, Examples, MethodContext, Model
from mamlbench.engine import LoopEngine
from mamlbench_plugins.algorithms.maml import MAML
from mamlbench_plugins.backbones.conv4 import StridedConv4

def update():
    torch.manual_seed(0)
    network = Model(StridedConv4(StridedConv4.Options(width=4)).build((1, 14, 14), 2).double())
    context = MethodContext(lambda outputs: network, Classification(2), Classification(2), LoopEngine(), 10, 1)
    examples = Examples(torch.rand(1, 2, 1, 14, 14).double(), torch.tensor([[0, 1]]))
    method = MAML(context, MAML.Options())
    update = method.compute_update(EpisodeBatch(examples, examples, torch.zeros(1, dtype=torch.int64)))
    method.apply(update)
    return update.sums

for path in sys.argv[1:]:
    before = update()
    runpy.run_path(path)
    after = update()
    same = before.keys() == after.keys() and all(
        before[name].shape == value.shape and torch.allclose(before[name], value) for name, value in after.items()
    )
    assert same == path.endswith("slow_loop.py"), path
"""
"""Exits with 0 if every plant changes the update of MAML, but for the slow loop, which changes its time alone."""


@pytest.fixture
def run(run_forked):
    def run(code, *arguments):
        done = run_forked(f"import sys; sys.argv[1:] = {[*map(str, arguments)]}\n{code}", FOLDER)
        assert done.returncode == 0, done.stderr

    return run


def test_every_script_shows_its_help(run):
    assert len(SCRIPTS) > 5
    run(HELP, *SCRIPTS)


def test_planted_regressions_change_the_update_or_its_time(run):
    assert len(PLANTS) == 4
    run(UPDATES, *PLANTS)
