"""Records of several methods on several cells."""

import numpy as np
import pytest

from mamlbench.report.across import aggregates

CELLS = [
    ("omniglot", 5, 1),
    ("omniglot", 5, 5),
    ("omniglot", 20, 1),
    ("glyphs", 5, 1),
    ("glyphs", 20, 1),
    ("miniimagenet", 5, 1),
    ("miniimagenet", 5, 5),
    ("cifar-fs", 5, 1),
]
METHODS = {"maml": 0.06, "fomaml": 0.055, "reptile": 0.0, "protonet": 0.09}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Enough to see an interval."""
    monkeypatch.setattr(aggregates, "RESAMPLES", 200)
    monkeypatch.setattr(aggregates, "CELL_RESAMPLES", 200)
    monkeypatch.setattr(aggregates, "CURVE_RESAMPLES", 100)


@pytest.fixture
def study(make_record):
    """Make records: ``study(methods={"maml": 0.1}, cells=CELLS[:2], seeds=3)``; each score has noise of its own."""

    def make(methods=METHODS, cells=CELLS, seeds=3, noise=0.01, **settings):
        random = np.random.default_rng(0)
        return [
            make_record(
                method,
                score=0.5 + 0.04 * index + advantage + noise * random.normal(),
                seed=seed,
                dataset=dataset,
                ways=ways,
                shots=shots,
                **settings,
            )
            for index, (dataset, ways, shots) in enumerate(cells)
            for method, advantage in methods.items()
            for seed in range(seeds)
        ]

    return make


@pytest.fixture(scope="session")
def across_cells():
    """Data set, ways and shots of the cells that ``study`` makes."""
    return CELLS
