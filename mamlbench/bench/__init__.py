"""How fast, and in how much memory: engines and peers on one machine, in one run, in turn."""

from mamlbench.bench.memory import PLAIN
from mamlbench.bench.run import Bench, Row, about_peers
from mamlbench.bench.settings import SETTINGS, Setting

__all__ = ["PLAIN", "SETTINGS", "Bench", "Row", "Setting", "about_peers"]
