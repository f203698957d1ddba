"""What the whole test suite shares."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Examples are derived from the test itself, so that a failure is the same one on every machine.
settings.register_profile("mamlbench", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("mamlbench")

ROOT = Path(__file__).parents[1]
REQUIRE_ALL = os.environ.get("MAMLBENCH_REQUIRE_ALL") == "1"
"""Set by .ci/run: there the real data must be present, and a test that cannot find it fails."""


def skip_or_fail(reason):
    """Skip for want of something that a developer's machine may lack; fail where everything is required."""
    if REQUIRE_ALL:
        pytest.fail(f"{reason} (MAMLBENCH_REQUIRE_ALL=1)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        skip_or_fail("no real data: '../shared/data' beside the checkout is missing")
    return folder


def pytest_runtest_setup(item):
    """Tests marked ``gpu`` need a CUDA device."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
