"""The accumulators add up, whatever is nested in what; no test here bounds how fast anything is."""

import time

import pytest
import torch

from mamlbench.record import Segment
from mamlbench.runner.meter import Meter, peak_resident_bytes


class Clock:
    """A clock that stands still unless a test moves it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def close(meter):
    return meter.measurement(warmup=Segment(), iterations=3, examples=1, to_target=None, own_process=True)


def test_every_moment_belongs_to_one_segment():
    wall, cpu = Clock(), Clock()
    meter = Meter(torch.device("cpu"), wall, cpu)

    def pass_time(wall_seconds, cpu_seconds):
        wall.now += wall_seconds
        cpu.now += cpu_seconds

    with meter.segment("train"):
        pass_time(4, 2)
        with meter.segment("data"):
            pass_time(8, 1)
        pass_time(16, 4)
    pass_time(32, 8)
    measured = close(meter)
    assert {name: (segment.wall, segment.device) for name, segment in measured.segments.items()} == {
        "data": (8, 1),
        "train": (20, 6),
        "evaluate": (0, 0),
        "checkpoint": (0, 0),
        "other": (32, 8),
    }
    assert (measured.wall_seconds, measured.device_seconds) == (60, 15)
    assert meter.elapsed() == Segment(wall=60, device=15)
    assert measured.iterations_per_second == 2 / 20


def test_cpu_seconds_count_work_and_not_waiting():
    meter = Meter(torch.device("cpu"))
    with meter.segment("data"):
        time.sleep(0.2)
    with meter.segment("train"):
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
    measured = close(meter)
    assert measured.segments["data"].wall >= 0.2
    assert measured.segments["data"].device < 0.1
    assert measured.segments["train"].device >= 0.2


def test_a_segment_closes_when_an_error_passes_through():
    wall = Clock()
    meter = Meter(torch.device("cpu"), wall)
    with pytest.raises(ValueError, match="x"), meter.segment("train"):
        wall.now += 1
        raise ValueError("x")
    wall.now += 1
    assert meter.seconds_in("train").wall == 1


def test_memory_is_left_out_where_the_process_is_shared():
    meter = Meter(torch.device("cpu"))
    shared = meter.measurement(warmup=Segment(), iterations=0, examples=0, to_target=None, own_process=False)
    assert shared.peak_memory_bytes is None
    assert shared.iterations_per_second is None


def test_peak_memory_sees_what_was_freed_again():
    before = peak_resident_bytes()
    block = bytearray(300_000_000)
    block[::4096] = b"x" * len(block[::4096])
    del block
    assert peak_resident_bytes() >= min(before + 1, 300_000_000)


@pytest.mark.gpu
def test_device_seconds_come_from_events():
    meter = Meter(torch.device("cuda"))
    with meter.segment("train"):
        x = torch.randn(2000, 2000, device="cuda")
        for _ in range(50):
            x = x @ x / 2000
        meter.synchronize()
    measured = close(meter)
    assert measured.device_clock == "cuda-events"
    assert 0 < measured.segments["train"].device <= measured.wall_seconds
    assert measured.peak_memory_bytes >= 2000 * 2000 * 4
