"""When checkpoints are written: by the clock, at validations, and rarely where they take long."""

import pytest
import torch

from mamlbench.runner import checkpoint_folder
from mamlbench.runner.checkpointer import Checkpointer
from mamlbench.runner.meter import Meter


@pytest.fixture
def checkpointer(tmp_path, monkeypatch):
    """``checkpointer(cost)``: one whose checkpoints take so many seconds, and a function that lets time pass."""

    def make(cost, **settings):
        now = [100.0]
        real = checkpoint_folder.write_atomically

        def slow(path, content):
            real(path, content)
            now[0] += cost / 2  # two files

        monkeypatch.setattr(checkpoint_folder, "write_atomically", slow)
        new = Checkpointer(tmp_path, Meter(torch.device("cpu")), clock=lambda: now[0], **settings)

        def wait(seconds):
            now[0] += seconds

        return new, wait

    return make


def test_a_quick_one_is_written_every_minute_and_at_validations(checkpointer):
    quick, wait = checkpointer(0.01)
    assert quick.is_due()
    quick.write({}, {})
    assert not quick.is_due() and quick.is_due(at_validation=True)
    wait(59.9)
    assert not quick.is_due()
    wait(0.2)
    assert quick.is_due()


def test_a_slow_one_takes_a_small_share_of_the_time(checkpointer):
    slow, wait = checkpointer(2.0)
    slow.write({}, {})
    wait(499)
    assert not slow.is_due() and not slow.is_due(at_validation=True)
    wait(2)
    assert slow.is_due() and slow.is_due(at_validation=True)


def test_a_requested_interval_is_kept_whatever_it_costs(checkpointer):
    often, wait = checkpointer(2.0, seconds=5)
    often.write({}, {})
    assert not often.is_due() and often.is_due(at_validation=True)
    wait(5.1)
    assert often.is_due()


def test_a_claim_that_is_lost_is_found_before_anything_is_written(checkpointer, tmp_path):
    def lost():
        raise RuntimeError("lost")

    held, _ = checkpointer(0.0, check=lost)
    with pytest.raises(RuntimeError, match="lost"):
        held.write({}, {})
    assert not list(tmp_path.iterdir())
