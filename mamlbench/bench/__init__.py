"""Time and memory of engines, peers and growing networks, measured by turns on one machine."""

from mamlbench.bench.bench_settings import SETTINGS, Setting
from mamlbench.bench.measure import Bench, Row, about_peers
from mamlbench.bench.memory import PLAIN

__all__ = ["PLAIN", "SETTINGS", "Bench", "Row", "Setting", "about_peers"]
