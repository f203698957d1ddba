"""Measures time in separate accumulators, and peak memory (docs/explanation.md, 'Measurement rules')."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mamlbench.record import Measurement, Segment

SEGMENTS = ("data", "train", "evaluate", "checkpoint", "other")


class Meter:
    """Counts every moment in exactly one segment: the innermost open one, or 'other'.

    Device time is the process's CPU seconds on a CPU. On a GPU it is the time between CUDA events at the segment
    boundaries; reading a clock never makes the host wait, ``synchronize`` does, at the end of a block of iterations.

    Args:
        device: what the work runs on.
        wall_clock: seconds since any fixed moment.
        cpu_clock: seconds of CPU time that this process has used; not read on a GPU.
    """

    def __init__(
        self,
        device: torch.device,
        wall_clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.device = device
        self.wall_clock, self.cpu_clock = wall_clock, cpu_clock
        self.on_gpu = device.type == "cuda"
        self.wall = dict.fromkeys(SEGMENTS, 0.0)
        self.device_seconds = dict.fromkeys(SEGMENTS, 0.0)
        self._open = ["other"]
        self._pending: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        self._started = self._wall_mark = wall_clock()
        self._device_mark = self._device_clock()
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats(device)

    @contextmanager
    def segment(self, name: str) -> Iterator[None]:
        """Count the time inside for ``name``; a segment opened inside another one interrupts it."""
        self._count()
        self._open.append(name)
        try:
            yield
        finally:
            self._count()
            self._open.pop()

    def synchronize(self) -> None:
        """Wait for the device, so that its work counts for the open segment."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)
            self._count()
            torch.cuda.synchronize(self.device)
            for name, start, end in self._pending:
                self.device_seconds[name] += start.elapsed_time(end) / 1000
            self._pending.clear()

    def elapsed(self) -> Segment:
        """Wall and device seconds since the start."""
        self._count()
        return Segment(wall=self.wall_clock() - self._started, device=sum(self.device_seconds.values()))

    def seconds_in(self, name: str) -> Segment:
        """Wall and device seconds of a segment so far."""
        self._count()
        return Segment(wall=self.wall[name], device=self.device_seconds[name])

    def measurement(
        self,
        *,
        warmup: Segment,
        iterations: int,
        examples: int,
        to_target: float | None,
        own_process: bool,
        runs_at_once: int = 1,
    ) -> Measurement:
        """Everything measured so far.

        Args:
            warmup: time until the end of the first meta-iteration, in the segment 'train'.
            iterations: meta-iterations done.
            examples: support and query examples trained on.
            to_target: wall seconds until validation reached the target score; None if it did not.
            own_process: whether the peak memory of this process is that of the run.
            runs_at_once: runs that may have shared the machine.
        """
        self.synchronize()
        segments = {name: self.seconds_in(name) for name in SEGMENTS}
        train = segments["train"]
        steady = train.wall - warmup.wall
        return Measurement(
            segments=segments,
            warmup=warmup,
            wall_seconds=self._wall_mark - self._started,  # until the last reading, so that segments add up to it
            device_seconds=sum(segment.device for segment in segments.values()),
            device_clock="cuda-events" if self.on_gpu else "cpu",
            peak_memory_bytes=self._peak_memory(own_process),
            peak_memory_kind="cuda-allocator" if self.on_gpu else "process-rss",
            iterations=iterations,
            iterations_per_second=(iterations - 1) / steady if iterations > 1 and steady > 0 else None,
            examples_seen=examples,
            seconds_to_target=to_target,
            runs_at_once=runs_at_once,
        )

    def _count(self) -> None:
        now = self.wall_clock()
        self.wall[self._open[-1]] += now - self._wall_mark
        self._wall_mark = now
        clock = self._device_clock()
        if isinstance(clock, float) and isinstance(self._device_mark, float):
            self.device_seconds[self._open[-1]] += clock - self._device_mark
        else:
            self._pending.append((self._open[-1], self._device_mark, clock))  # type: ignore[arg-type]
        self._device_mark = clock

    def _device_clock(self) -> float | torch.cuda.Event:
        if not self.on_gpu:
            return self.cpu_clock()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event

    def _peak_memory(self, own_process: bool) -> int | None:
        if self.on_gpu:
            return torch.cuda.max_memory_allocated(self.device)
        return peak_resident_bytes() if own_process else None


def peak_resident_bytes() -> int | None:
    """Peak resident size of this process in bytes; None if the system has no such figure."""
    # On Linux getrusage starts from the parent's peak, VmHWM does not.
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
