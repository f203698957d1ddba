"""Measures time in separate accumulators, and peak memory (docs/explanation.md, 'Measurement rules')."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from pydantic import Field

from mamlbench.record import FeaturePass, Measurement, Segment
from mamlbench.record.record_part import RecordPart

SEGMENTS = ("data", "train", "evaluate", "checkpoint", "other")


class Clocks(RecordPart):
    """What a meter has counted, to go on from in another process."""

    segments: dict[str, Segment] = Field(default_factory=dict)
    """by name"""
    wall_seconds: float = 0.0
    """of all pieces of the run"""
    peak_memory_bytes: int | None = None
    """the largest of all pieces; None if one of them does not know its own"""
    runs_at_once: int = 1
    """the most of all pieces"""
    pieces: int = 0
    """in how many processes, one after the other, the run was computed"""
    ranks: int = 1
    """the most processes that computed a piece together"""


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
        self._earlier = Clocks()
        self._others = dict.fromkeys(SEGMENTS, 0.0)
        self._others_peak, self._ranks = 0, 1
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
        wall = self._earlier.wall_seconds + self.wall_clock() - self._started
        return Segment(wall=wall, device=sum(self.device_seconds.values()) + sum(self._others.values()))

    def seconds_in(self, name: str) -> Segment:
        """Wall and device seconds of a segment so far."""
        self._count()
        return Segment(wall=self.wall[name], device=self.device_seconds[name] + self._others[name])

    def own_device_seconds(self) -> dict[str, float]:
        """Device seconds of this process, without those of other ranks, by segment."""
        self.synchronize()
        self._count()
        return dict(self.device_seconds)

    def own_peak(self) -> int:
        """Peak memory of this process in bytes; 0 if the system has no such figure."""
        return self._peak_memory(own_process=True) or 0

    def count_others(self, device_seconds: Sequence[Mapping[str, float]], peaks: Sequence[int]) -> None:
        """Count what the other ranks of the run have used so far: device seconds by segment, and peak memory in bytes.

        Each call replaces the one before.
        """
        self._others = {name: sum(seconds[name] for seconds in device_seconds) for name in SEGMENTS}
        self._others_peak, self._ranks = max(peaks), 1 + len(peaks)

    def clocks(self, *, own_process: bool, runs_at_once: int) -> Clocks:
        """What is counted so far, the earlier pieces included; arguments as for ``measurement``."""
        self.synchronize()
        self._count()  # once, so that all segments are read at the same moment
        segments = {
            name: Segment(wall=self.wall[name], device=self.device_seconds[name] + self._others[name])
            for name in SEGMENTS
        }
        earlier, peak = self._earlier, self._peak_memory(own_process)
        if earlier.pieces and (peak is None or earlier.peak_memory_bytes is None):
            peak = None
        return Clocks(
            segments=segments,
            wall_seconds=earlier.wall_seconds + self._wall_mark - self._started,  # so that segments add up to it
            peak_memory_bytes=None if peak is None else max(peak, self._others_peak, earlier.peak_memory_bytes or 0),
            runs_at_once=max(runs_at_once, earlier.runs_at_once),
            pieces=earlier.pieces + 1,
            ranks=max(self._ranks, earlier.ranks),
        )

    def add(self, earlier: Clocks) -> None:
        """Count what another process has counted for the same run, too."""
        self._earlier = earlier
        for name, segment in earlier.segments.items():
            self.wall[name] += segment.wall
            self.device_seconds[name] += segment.device

    def measurement(
        self,
        *,
        warmup: Segment,
        warmup_iterations: int = 1,
        iterations: int,
        examples: int,
        to_target: float | None,
        own_process: bool,
        runs_at_once: int = 1,
        features: FeaturePass | None = None,
    ) -> Measurement:
        """Everything measured so far.

        Args:
            warmup: time until the end of the first meta-iteration, in the segment 'train', of every piece.
            warmup_iterations: meta-iterations in it.
            iterations: meta-iterations done.
            examples: support and query examples trained on.
            to_target: wall seconds until validation reached the target score; None if it did not.
            own_process: whether the peak memory of this process is that of the run.
            runs_at_once: runs that may have shared the machine.
            features: the pass of a frozen encoder.
        """
        clocks = self.clocks(own_process=own_process, runs_at_once=runs_at_once)
        steady, steps = clocks.segments["train"].wall - warmup.wall, iterations - warmup_iterations
        return Measurement(
            segments=clocks.segments,
            warmup=warmup,
            wall_seconds=clocks.wall_seconds,
            device_seconds=sum(segment.device for segment in clocks.segments.values()),
            device_clock="cuda-events" if self.on_gpu else "cpu",
            peak_memory_bytes=clocks.peak_memory_bytes,
            peak_memory_kind="cuda-allocator" if self.on_gpu else "process-rss",
            iterations=iterations,
            iterations_per_second=steps / steady if steps > 0 and steady > 0 else None,
            examples_seen=examples,
            seconds_to_target=to_target,
            runs_at_once=clocks.runs_at_once,
            pieces=clocks.pieces,
            ranks=clocks.ranks,
            features=features,
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
