"""How fast, and in how much memory: engines and peers on one machine, in one run, in turn."""

from mamlbench.bench.bench_settings import SETTINGS, Setting
from mamlbench.bench.measure import Bench, Row, about_peers
from mamlbench.bench.memory import PLAIN

__all__ = ["PLAIN", "SETTINGS", "Bench", "Row", "Setting", "about_peers"]
