"""The preset that a request names: one of the method, or one in a file."""

import pytest

from mamlbench.errors import ConfigError
from mamlbench.run_spec import Preset, Setting
from mamlbench.runner.find_preset import find_preset
from mamlbench_plugins.algorithms.maml import MAML

FILE = """
[[preset]]
algorithm = "maml"
name = "tuned-20"
iterations = 1
meta_batch_size = 2
[[preset]]
algorithm = "maml"
name = "tuned-20"
dataset = "omniglot"
iterations = 3
meta_batch_size = 2
[[preset]]
algorithm = "maml"
name = "default"
shots = 5
iterations = 5
meta_batch_size = 2
"""
OMNIGLOT = Setting("omniglot", 5, 1)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "found.toml"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(
    ("name", "setting", "iterations"),
    [
        ("", OMNIGLOT, 3),
        (":tuned-20", OMNIGLOT, 3),
        ("", Setting("glyphs", 5, 1), 1),
        (":default", Setting("glyphs", 20, 5), 5),
    ],
)
def test_the_most_specific_preset_of_the_file_is_taken_by_default_its_first_name(file, name, setting, iterations):
    assert find_preset(MAML, "maml", f"{file}{name}", setting).iterations == iterations


def test_what_a_file_lacks_is_named(file):
    with pytest.raises(ConfigError, match=r"has no preset 'default' of algorithm 'maml' for omniglot 5-way 1-shot"):
        find_preset(MAML, "maml", f"{file}:default", OMNIGLOT)
    with pytest.raises(ConfigError, match=r"has no preset 'tuned-2' for algorithm 'maml'. Did you mean 'tuned-20'\?"):
        find_preset(MAML, "maml", f"{file}:tuned-2", OMNIGLOT)
    with pytest.raises(ConfigError, match=r"has no preset for algorithm 'reptile', only for: maml") as caught:
        find_preset(MAML, "reptile", str(file), OMNIGLOT)
    assert [problem.key for problem in caught.value.problems] == ["preset"]


def test_every_method_has_a_short_preset_to_see_that_it_works():
    quick = find_preset(MAML, "maml", "quick", OMNIGLOT)
    smoke = find_preset(MAML, "maml", "smoke", OMNIGLOT)
    assert smoke.iterations == quick.iterations // 10
    assert smoke.options == quick.options
    assert smoke.protocol["test_episodes"] == 100
    assert "every" in smoke.source


def test_a_smoke_preset_of_the_method_itself_comes_first():
    own = Preset(name="smoke", iterations=7, meta_batch_size=1)
    method = type("Own", (MAML,), {"presets": (*MAML.presets, own)})
    assert find_preset(method, "own", "smoke", OMNIGLOT) is own
