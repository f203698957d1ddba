"""A head for another number of classes: the mean of the trained rows, or a refusal."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_record import make_spec

from mamlbench.errors import ConfigError
from mamlbench.runner.adapt.fit_head import fit_head


def state(ways, features=4):
    torch.manual_seed(ways)
    head = {"meta/head.weight": torch.randn(ways, features), "meta/head.bias": torch.randn(ways)}
    return {"meta/features.0.weight": torch.randn(ways, ways, 3), **head}  # its size depends on ways by chance alone


def fitted(trained, expected, ways, present):
    return fit_head(trained, expected, (ways, present), make_spec(), Path("model.json"))


@given(st.integers(2, 8), st.integers(2, 8))
def test_every_class_begins_as_the_mean_of_the_trained_ones(ways, present):
    trained, expected = state(ways), state(present) | {"meta/features.0.weight": state(ways)["meta/features.0.weight"]}
    result = fitted(trained, expected, ways, present)
    assert result.head == ("trained" if ways == present else "tied")
    assert all(result.state[name].shape == value.shape for name, value in expected.items())
    assert torch.equal(result.state["meta/features.0.weight"], trained["meta/features.0.weight"])
    if ways != present:
        for row in result.state["meta/head.weight"]:
            assert torch.allclose(row, trained["meta/head.weight"].mean(0))


def test_a_method_without_a_trained_head_makes_its_own():
    trained = {"meta/features.0.weight": torch.ones(2, 2)}
    assert fitted(trained, trained, 5, 3).head == "of the method"


def test_another_network_is_refused_and_so_is_a_fixed_number_of_classes():
    with pytest.raises(ConfigError, match="is no model of this method and network"):
        fitted(state(5), state(5, features=6), 5, 5)
    with pytest.raises(ConfigError, match=r"distinguishes 5 classes, and the folder has 3.*--ways 3"):
        fitted(state(5), state(3, features=6), 5, 3)
    embedding = {"meta/embedding": torch.ones(5, 2)}
    with pytest.raises(ConfigError, match="the number of classes is fixed in training"):
        fitted(embedding, {"meta/embedding": torch.ones(3, 2)}, 5, 3)
