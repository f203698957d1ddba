"""Time and memory of engines, peers and growing networks, measured in alternation on one machine."""

from mamlbench.bench.bench_settings import SETTINGS, BenchSetting
from mamlbench.bench.measure import Bench, BenchResult, describe_peers
from mamlbench.bench.memory import PLAIN

__all__ = ["PLAIN", "SETTINGS", "Bench", "BenchResult", "BenchSetting", "describe_peers"]
