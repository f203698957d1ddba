"""A published number of the toy data set, with how it is run again: a plugin to load beside ``toy_plugin.py``."""

from pathlib import Path

import mamlbench

NUMBERS = """
[[group]]
algorithm = "fomaml"
dataset = "toy"
ways = 3
shots = 1
source = "a toy report"
results = [
  { id = "toy2026/toy-3w1s-fomaml", queries = 2, mode = "transductive", steps = 3, score = SCORE, interval = 1.0 },
  { id = "toy2026/toy-3w1s-fomaml-1step", queries = 2, mode = "inductive", steps = 1, score = SCORE, interval = 1.0 },
]

[[reproduction]]
preset = "quick"
margin = MARGIN
reading = "slow"
about = "the rate as printed"
iterations = 40
meta_batch_size = 4
queries = 2
test_episodes = 50
differences = ["patterns in place of images"]
options = { "backbone.width" = 4, halve_every = 20, inner_lr = 0.4, test_steps = 3 }
per_iteration = ["halve_every"]
reproduces = [
  { name = "toy2026/toy-3w1s", number = "toy2026/toy-3w1s-fomaml" },
  { name = "toy2026/toy-3w1s-1step", number = "toy2026/toy-3w1s-fomaml-1step" },
]
[[reproduction.variants]]
name = "fast"
about = "twice the rate"
options = { inner_lr = 0.8 }
[[reproduction.variants]]
name = "joint"
about = "no inner step in training"
mistake = "trains without an inner step under the name of MAML"
options = { train_steps = 0 }
"""


def write_numbers(folder, *, score=50.0, margin=40.0):
    """Write the numbers into a folder, and a plugin that registers them; return the plugin's path."""
    text = NUMBERS.replace("SCORE", str(score)).replace("MARGIN", str(margin))
    (folder / "toy_numbers.toml").write_text(text)
    plugin = folder / "toy_published.py"
    plugin.write_text(Path(__file__).read_text())
    return plugin


@mamlbench.hookimpl
def mamlbench_register_published(register):
    register(Path(__file__).with_name("toy_numbers.toml"))
