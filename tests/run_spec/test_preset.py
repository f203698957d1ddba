import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mamlbench.run_spec import Preset, Setting, choose_preset

SETTING = Setting("omniglot", 5, 1)


def preset(name="quick", iterations=1, **conditions):
    return Preset(name=name, iterations=iterations, meta_batch_size=4, **conditions)


def test_the_most_specific_preset_wins_whatever_the_order():
    presets = [
        preset(iterations=1),
        preset(iterations=2, dataset="omniglot"),
        preset(iterations=3, dataset="omniglot", ways=5, shots=1),
        preset(iterations=4, ways=5),
        preset(iterations=5, dataset="omniglot", ways=20, shots=1),
        preset("paper", iterations=6, dataset="omniglot", ways=5, shots=1),
    ]
    for order in (presets, presets[::-1]):
        assert choose_preset(order, "quick", SETTING).iterations == 3
        assert choose_preset(order, "quick", Setting("omniglot", 7, 1)).iterations == 2
        assert choose_preset(order, "quick", Setting("glyphs", 7, 1)).iterations == 1
        assert choose_preset(order, "paper", Setting("omniglot", 20, 1)) is None


def test_of_equally_specific_presets_the_first_wins():
    assert (
        choose_preset([preset(iterations=1, ways=5), preset(iterations=2, shots=1)], "quick", SETTING).iterations == 1
    )


@given(
    st.none() | st.sampled_from(["omniglot", "glyphs"]), st.none() | st.integers(4, 6), st.none() | st.integers(1, 2)
)
def test_a_preset_matches_if_every_condition_holds(dataset, ways, shots):
    chosen = preset(dataset=dataset, ways=ways, shots=shots)
    conditions = [pair for pair in zip((dataset, ways, shots), SETTING, strict=True) if pair[0] is not None]
    assert chosen.matches(SETTING) is all(condition == value for condition, value in conditions)
    assert chosen.conditions == len(conditions)


def test_a_misspelled_setting_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        preset(metabatch=3)
