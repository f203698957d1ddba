"""The accumulators add up, whatever is nested in what. No bound here is on how fast anything is."""

import time

import pytest
import torch

from mamlbench.record import Segment
from mamlbench.runner.meter import Meter, peak_resident_bytes


def close(meter):
    return meter.measurement(warmup=Segment(), iterations=3, examples=1, to_target=None, own_process=True)


def test_every_moment_belongs_to_one_segment():
    meter = Meter(torch.device("cpu"))
    with meter.segment("train"):
        time.sleep(0.05)
        with meter.segment("data"):
            time.sleep(0.1)
        time.sleep(0.05)
    time.sleep(0.02)
    measured = close(meter)
    wall = {name: segment.wall for name, segment in measured.segments.items()}
    assert wall["data"] >= 0.1
    assert wall["train"] >= 0.1
    assert wall["other"] >= 0.02
    assert wall["evaluate"] == wall["checkpoint"] == 0
    assert sum(wall.values()) == pytest.approx(measured.wall_seconds, rel=0.001)


def test_cpu_seconds_count_work_and_not_waiting():
    meter = Meter(torch.device("cpu"))
    with meter.segment("data"):
        time.sleep(0.2)
    with meter.segment("train"):
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    measured = close(meter)
    assert measured.segments["data"].device < 0.1
    assert measured.segments["train"].device >= 0.2
    assert measured.device_seconds == pytest.approx(sum(s.device for s in measured.segments.values()))


def test_a_segment_closes_when_an_error_passes_through():
    meter = Meter(torch.device("cpu"))
    with pytest.raises(ValueError, match="x"), meter.segment("train"):
        raise ValueError("x")
    before = meter.reading("train").wall
    time.sleep(0.02)
    assert meter.reading("train").wall == before


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
