"""How many test episodes there are and how they are drawn, and the intervals for new classes, in whole runs."""

import numpy as np
import pytest

from mamlbench.errors import ConfigError
from mamlbench.record import read_episodes
from mamlbench.report import build_tables
from mamlbench.run_spec import MOST_EPISODES_UNTIL, RunRequest
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.launch import launch
from mamlbench.runner.plan import plan
from mamlbench.shared_classes import interval_for_new_classes, shared_classes

TINY = {
    "ways": 3,
    "queries": 4,
    "test_episodes": 30,
    "validation_episodes": 10,
    "iterations": 4,
    "meta_batch_size": 4,
    "engine": "vmap",
    "options": {"backbone.width": 4},
}


@pytest.fixture(scope="module")
def run(plugins, folders):
    def run(**request):
        request = RunRequest(algorithms=("fomaml",), dataset="toy", **{**TINY, **request})
        (record,) = launch(plan(request, plugins), plugins, folders)
        assert record.status == "finished", record.reason
        return record

    return run


@pytest.fixture(scope="module")
def plain(run):
    return run()


def test_a_record_has_both_intervals_and_the_classes_they_come_from(plain, folders):
    classes = read_episodes(plain, folders.results)["classes"]
    np.testing.assert_array_equal(plain.test.classes.unpack(), classes)
    for result in plain.test.modes.values():
        scores = np.array(result.episode_scores)
        expected = interval_for_new_classes(scores.mean(), scores, shared_classes(classes))
        assert result.score_new_classes.high == pytest.approx(expected.high, abs=1e-5)
        gains = scores - np.array(result.untrained_episode_scores)
        expected = interval_for_new_classes(gains.mean(), gains, shared_classes(classes))
        assert result.gain_new_classes.low == pytest.approx(expected.low, abs=1e-5)
        assert result.score_new_classes.mean == result.score.mean
    (table,) = build_tables([plain])
    assert any(note.startswith("In parentheses: half-width for new classes") for note in table.explanations)


def test_a_record_says_how_often_test_images_were_used(plain):
    use = plain.test.image_use
    assert use.images * use.average == pytest.approx(30 * 3 * (1 + 4))
    assert use.most > use.average > 1
    (table,) = build_tables([plain])
    assert any(
        note.startswith("A test image was used") and f"at most {use.most} times" in note for note in table.explanations
    )


def test_without_replacement_an_image_is_used_once_in_a_pass(run, plain):
    few = run(test_sampling="without-replacement", test_episodes=2).test
    assert few.image_use.most == 1 and few.image_use.images == 2 * 3 * (1 + 4)
    assert few.protocol.test_sampling == "without-replacement"
    many = run(test_sampling="without-replacement")
    assert many.test.image_use.most < plain.test.image_use.most
    tables = build_tables([plain, many])
    assert len(tables) == 2, "not comparable"
    assert "30 test episodes, without replacement" in tables[1].title
    assert any("test sampling independent and without-replacement" in note for note in tables[1].notes)


def test_as_many_episodes_as_an_interval_needs(run, plain, folders, plugins):
    model = folders.results / f"{plain.name}.json"
    wide = evaluate_model(model, plugins, folders, protocol={"test_until": 0.2})
    assert wide.protocol.test_episodes == MOST_EPISODES_UNTIL
    scores = wide.modes["transductive"].episode_scores
    assert len(scores) == 200, "the pilot is enough"
    assert list(scores[:30]) == list(plain.test.modes["transductive"].episode_scores)
    width = 0.9 * (wide.modes["transductive"].score.high - wide.modes["transductive"].score.low) / 2
    narrow = evaluate_model(model, plugins, folders, protocol={"test_until": width})
    result = narrow.modes["transductive"]
    assert 235 <= len(result.episode_scores) <= 260 and len(result.untrained_episode_scores) == len(
        result.episode_scores
    )
    assert (result.score.high - result.score.low) / 2 == pytest.approx(width, rel=0.1)
    assert len(narrow.classes.unpack()) == len(result.episode_scores)
    limited = evaluate_model(model, plugins, folders, protocol={"test_until": width, "test_episodes": 210})
    assert len(limited.modes["transductive"].episode_scores) == 210


def test_runs_with_other_numbers_of_episodes_are_compared_on_those_they_share(run):
    records = [run(test_until=until, test_episodes=260, seed=seed) for seed, until in ((0, 0.0301), (1, 0.0301))]
    (table,) = build_tables(records)
    assert "test episodes until ± 3.01 points, at most 260" in table.title
    assert any(note.startswith("Test episodes: ") for note in table.explanations)


def test_functions_cannot_be_drawn_without_replacement(plugins, folders):
    request = RunRequest(
        algorithms=("fomaml",), dataset="sinusoid", test_sampling="without-replacement", iterations=1, engine="vmap"
    )
    with pytest.raises(ConfigError, match="sinusoid, test split: this data set cannot be sampled without replacement"):
        launch(plan(request, plugins), plugins, folders)
