import math

import pytest

from mamlbench.api import Metric


@pytest.mark.parametrize("higher", [True, False])
def test_better_follows_the_direction_of_the_metric(higher):
    class Mine(Metric):
        name = "mine"
        higher_is_better = higher

        def compute(self, outputs, y):
            return outputs.mean((-1, -2))

    assert Mine.better(2.0, 1.0) is higher
    assert Mine.better(1.0, 2.0) is not higher
    assert not Mine.better(1.0, 1.0)
    assert not Mine.better(math.nan, 1.0)
