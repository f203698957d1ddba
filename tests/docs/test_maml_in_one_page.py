"""The page's code is MAML: it runs, it learns, and its meta-gradient is the harness's own."""

import copy
import re
from pathlib import Path

import pytest
import torch

from mamlbench.api import EpisodeBatch, Examples, Regression
from mamlbench.cli.main import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "maml-in-one-page.md").read_text(encoding="utf-8")
CODE = "\n\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def page():
    """The page's names after its code has run, with what it printed as ``printed``."""
    printed = []
    names = {"print": lambda *words: printed.append(" ".join(words))}
    with torch.random.fork_rng():
        exec(compile(CODE, "maml.py", "exec"), names)
    return names | {"printed": printed}


def test_it_is_about_sixty_lines():
    assert 50 <= len(CODE.splitlines()) <= 65


def test_it_learns(page):
    before, after = (float(re.search(r"\d+\.\d+", line).group()) for line in page["printed"])
    assert before > 3
    assert after < 0.6


def test_its_meta_gradient_is_that_of_the_harness(page, make_algorithm):
    class PageNetwork:
        @staticmethod
        def build(shape, outputs):
            return copy.deepcopy(page["network"])

    options = {"inner_lr": page["INNER_LR"], "train_steps": 3}
    algorithm = make_algorithm("maml", backbone=PageNetwork, shape=(1,), objective=Regression(1), **options)
    sets = page["sample_tasks"](4, torch.Generator().manual_seed(0))
    support, query = (tuple(values.double() for values in examples) for examples in sets)
    theta = {name: value.detach().double().requires_grad_() for name, value in page["network"].named_parameters()}
    page["query_losses"](theta, support, query, steps=3).mean().backward()
    update = algorithm.compute_update(EpisodeBatch(Examples(*support), Examples(*query), torch.arange(4)))
    assert update.mean.keys() == theta.keys()
    for name, value in update.mean.items():
        torch.testing.assert_close(value, theta[name].grad, rtol=1e-9, atol=1e-12)


def test_its_command_exists():
    assert set(re.findall(r"^mamlbench ([a-z]+)", PAGE, re.MULTILINE)) <= set(COMMANDS)
