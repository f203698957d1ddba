"""The variables of torchrun say which rank a process is."""

import pytest

from mamlbench.errors import ConfigError
from mamlbench.runner.ranks.rank_place import RankPlace, rank_place

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "host"}


def test_a_process_of_torchrun():
    assert rank_place(TORCHRUN) == RankPlace(3, 4, 1, 2)
    assert rank_place({**TORCHRUN, "TORCHELASTIC_RESTART_COUNT": "2"}).attempt == 2


def test_a_process_of_the_launcher():
    place = rank_place({"RANK": "1", "WORLD_SIZE": "2", "MAMLBENCH_RENDEZVOUS": "/shared/file"})
    assert place == RankPlace(1, 2, 0, 1, "file:///shared/file")


@pytest.mark.parametrize("environment", [{}, {"RANK": "1"}, {"RANK": "1", "WORLD_SIZE": "2"}])
def test_variables_that_another_program_set_are_no_rank(environment):
    assert rank_place(environment) == RankPlace()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"RANK": "4"}, "RANK is 4 and WORLD_SIZE 4"), ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two' and must be")],
)
def test_variables_that_contradict_each_other(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        rank_place({**TORCHRUN, **changes})
