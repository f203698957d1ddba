import importlib
import warnings

import pytest


@pytest.fixture(scope="session")
def forward_mode():
    """Load torch's forward-mode rules, whose own use of torch.jit.script warns of its deprecation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("torch._decomp.decompositions_for_jvp")
