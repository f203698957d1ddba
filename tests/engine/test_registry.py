"""Engines by name."""

import pytest

from mamlbench.engine import STRATEGIES, CompiledEngine, LoopEngine, VmapEngine, make_engine
from mamlbench.errors import ConfigError


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_engine_has_the_name_it_was_made_from(name):
    assert make_engine(name).name == name


def test_the_parts_of_a_name():
    assert type(make_engine("vmap")) is VmapEngine
    assert type(make_engine("loop+remat")) is LoopEngine
    engine = make_engine("vmap[12]+remat")
    assert (engine.chunk, engine.differentiation) == (12, "remat")
    assert type(make_engine("vmap[12]+compiled")) is CompiledEngine


@pytest.mark.parametrize(
    "name", ["vmp", "vmap[0]", "vmap[-1]", "loop[2]", "loop+compiled", "vmap+", "vmap+remat+compiled", "", "VMAP"]
)
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ConfigError, match="Unknown engine"):
        make_engine(name)


def test_the_suggestion_is_the_nearest_name():
    with pytest.raises(ConfigError, match="Did you mean 'vmap'"):
        make_engine("vmp")
