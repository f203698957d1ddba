"""What the tests share: both harness's and learn2learn's methods on the same tiny network and episodes."""

import os
import sys

import pytest
import torch

from mamlbench.api import Classification, EpisodeBatch, Examples, MethodContext, Model
from mamlbench.engine import VmapEngine
from mamlbench.errors import MissingDependencyError
from mamlbench.plugin import load_plugins


@pytest.fixture(scope="session")
def needs_learn2learn():
    """Skip if learn2learn could not be installed; fail if everything is required and Python is the one tried."""
    try:
        import mamlbench_learn2learn.library  # noqa: F401
    except (ModuleNotFoundError, MissingDependencyError) as error:
        python = ".".join(map(str, sys.version_info[:2]))
        if os.environ.get("MAMLBENCH_REQUIRE_ALL") == "1" and python == "3.11":
            pytest.fail(f"{error} (MAMLBENCH_REQUIRE_ALL=1)")
        pytest.skip(f"learn2learn is not installed for Python {python}: {error}")


@pytest.fixture
def make_algorithm():
    """``make_algorithm("l2l-maml", inner_lr=0.1)`` builds any registered algorithm on the same first parameters."""

    def make(name, dtype=torch.float64, iterations=50, **options):
        registry, engine = load_plugins().registry, VmapEngine()
        plugin, conv4 = registry.load("algorithm", name), registry.load("backbone", "conv4-strided")

        def build(outputs):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                return Model(conv4(conv4.Options(width=4, scale=True)).build((1, 14, 14), outputs).to(dtype), engine)

        context = MethodContext(
            build=build,
            objective=Classification(3),
            pooled_objective=Classification(7),
            engine=engine,
            iterations=iterations,
            shots=2,
        )
        return plugin(context, plugin.Options(**options))

    return make


@pytest.fixture
def make_batch():
    """Random episodes: 3-way 2-shot 2-query tasks of 1x14x14 images."""

    def make(tasks=4, dtype=torch.float64, seed=1):
        generator = torch.Generator().manual_seed(seed)
        y = torch.arange(3).repeat_interleave(2).expand(tasks, -1)
        support, query = (
            Examples(torch.rand(tasks, 6, 1, 14, 14, generator=generator, dtype=dtype), y) for _ in range(2)
        )
        return EpisodeBatch(support, query, torch.arange(tasks) + 100 * seed)

    return make
