"""The variance that new classes add: by hand over all pairs of episodes, and in trials with known variances."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mamlbench.shared_classes import interval_for_new_classes, shared_classes
from mamlbench.student_t import t_quantile

WAYS, EPISODES, TRIALS = 5, 300, 2000


def draw_classes(generator, classes, episodes=EPISODES, ways=WAYS):
    return np.argsort(generator.random((episodes, classes)), axis=-1)[:, :ways]


def simulate(generator, classes, class_spread, noise=0.2, trials=TRIALS):
    """Draw scores ``[trials, episodes]`` around 0 in which the classes differ, and the classes of the episodes."""
    in_episodes = draw_classes(generator, classes)
    effects = generator.normal(0, class_spread, (trials, classes))
    scores = effects[:, in_episodes].sum(-1) + generator.normal(0, noise, (trials, EPISODES))
    return scores, in_episodes


def covered(scores, half):
    return np.mean(np.abs(scores.mean(-1)) < half)


@given(st.integers(0, 10**6), st.integers(3, 9), st.integers(1, 3), st.integers(4, 30))
def test_the_variance_between_classes_is_the_slope_over_all_pairs_of_episodes(seed, classes, ways, episodes):
    generator = np.random.default_rng(seed)
    in_episodes = draw_classes(generator, classes, episodes, ways)
    scores = generator.random(episodes)
    pairs = [
        (len({*in_episodes[first]} & {*in_episodes[second]}), deviations[first] * deviations[second])
        for deviations in [scores - scores.mean()]
        for first, second in itertools.combinations(range(episodes), 2)
    ]
    overlaps, products = map(np.array, zip(*pairs, strict=True))
    shared = shared_classes(in_episodes)
    if overlaps.var() < 1e-9:
        assert shared is None
        return
    slope = np.polyfit(overlaps, products, 1)[0]
    variance = shared.variance_of_mean(scores)
    assert shared.mean_overlap == pytest.approx(overlaps.mean())
    assert shared.overlap_variance == pytest.approx(overlaps.var())
    assert float(variance.between_classes) == pytest.approx(overlaps.mean() * slope, abs=1e-12)
    assert float(variance.over_episodes) == pytest.approx(scores.var(ddof=1) / episodes)


def test_with_one_class_per_episode_it_is_the_analysis_of_variance():
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(12, 7)) + generator.normal(size=(12, 1))  # 12 classes, 7 episodes of each
    within = scores.var(axis=1, ddof=1).mean()
    between = scores.mean(1).var(ddof=1) - within / 7
    shared = shared_classes(np.repeat(np.arange(12), 7)[:, None])
    variance = shared.variance_of_mean(scores.ravel())
    assert float(variance.between_classes) == pytest.approx(between * shared.mean_overlap)


def test_classes_that_all_episodes_have_say_nothing_about_others():
    generator = np.random.default_rng(2)
    assert shared_classes(np.tile(np.arange(5), (10, 1))) is None
    assert shared_classes(draw_classes(generator, 5, ways=5)) is None
    assert shared_classes(np.arange(5)[None]) is None, "one episode"
    assert shared_classes(draw_classes(generator, 6, ways=5)) is not None


def test_numbers_of_classes_and_their_order_do_not_matter_and_equal_scores_have_no_variance():
    generator = np.random.default_rng(3)
    in_episodes, scores = draw_classes(generator, 20), generator.random(EPISODES)
    expected = shared_classes(in_episodes).variance_of_mean(scores)
    renamed = shared_classes(1000 - 3 * in_episodes[:, ::-1]).variance_of_mean(10 + 2 * scores)
    np.testing.assert_allclose(renamed.total, 4 * expected.total)
    np.testing.assert_allclose(renamed.degrees_of_freedom, expected.degrees_of_freedom)
    equal = shared_classes(in_episodes).variance_of_mean(np.full(EPISODES, 0.1))
    assert float(equal.total) == 0
    interval = interval_for_new_classes(0.1, np.full(EPISODES, 0.1), shared_classes(in_episodes))
    assert (interval.low, interval.mean, interval.high) == (0.1, 0.1, 0.1)


def test_a_class_with_two_labels_of_an_episode_counts_for_both():
    generator = np.random.default_rng(4)
    in_episodes = draw_classes(generator, 40) % 20
    overlaps = np.eye(20)[in_episodes].sum(1) @ np.eye(20)[in_episodes].sum(1).T
    pairs = overlaps[~np.eye(EPISODES, dtype=bool)]
    shared = shared_classes(in_episodes)
    assert (shared.mean_overlap, shared.overlap_variance) == pytest.approx((pairs.mean(), pairs.var()))


@pytest.mark.parametrize("classes, spread", [(20, 0.0), (20, 0.02), (20, 0.1), (100, 0.03), (300, 0.05)])
def test_the_variance_is_unbiased(classes, spread):
    scores, in_episodes = simulate(np.random.default_rng(5), classes, spread)
    shared = shared_classes(in_episodes)
    variance = shared.variance_of_mean(scores)
    counts = np.bincount(in_episodes.ravel(), minlength=classes)
    true = spread**2 * (counts**2).sum() / EPISODES**2 + 0.2**2 / EPISODES
    estimates = variance.over_episodes + variance.between_classes
    assert estimates.mean() == pytest.approx(true, abs=3 * estimates.std() / np.sqrt(TRIALS))
    assert 3 * estimates.std() / np.sqrt(TRIALS) < 0.16 * true, "the test can fail"
    assert (variance.total >= variance.over_episodes).all()


@pytest.mark.parametrize("classes, spread", [(20, 0.03), (20, 0.1), (64, 0.03), (300, 0.05)])
def test_the_interval_for_new_classes_covers_the_truth_and_that_over_episodes_does_not(classes, spread):
    scores, in_episodes = simulate(np.random.default_rng(6), classes, spread)
    variance = shared_classes(in_episodes).variance_of_mean(scores)
    half = t_quantile(0.975, variance.degrees_of_freedom) * np.sqrt(variance.total)
    assert 0.93 <= covered(scores, half) <= 0.975
    over_episodes = t_quantile(0.975, EPISODES - 1) * np.sqrt(variance.over_episodes)
    assert covered(scores, over_episodes) < 0.92


def test_without_differences_between_classes_the_interval_is_not_too_narrow():
    scores, in_episodes = simulate(np.random.default_rng(7), 20, 0.0)
    variance = shared_classes(in_episodes).variance_of_mean(scores)
    half = t_quantile(0.975, variance.degrees_of_freedom) * np.sqrt(variance.total)
    assert covered(scores, half) >= 0.945


def test_one_interval_is_that_of_its_variance():
    scores, in_episodes = simulate(np.random.default_rng(8), 20, 0.1, trials=1)
    shared = shared_classes(in_episodes)
    variance = shared.variance_of_mean(scores[0])
    interval = interval_for_new_classes(float(scores[0].mean()), scores[0], shared)
    df, error = float(variance.degrees_of_freedom), float(np.sqrt(variance.total))
    low, high = stats.t.interval(0.95, df, scores[0].mean(), error)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert 10 < df < 25  # about the number of classes


@pytest.mark.parametrize("class_spread", [0.0, 0.2])
def test_intervals_of_episodes_of_several_sizes_cover_new_classes(class_spread):
    generator, covers = np.random.default_rng(4), []
    for _ in range(150):
        effects, ways = generator.normal(0, class_spread, 60), generator.integers(2, 11, 200)
        classes = draw_classes(generator, 60, 200, 10)
        classes[np.arange(10) >= ways[:, None]] = -1
        present = classes >= 0
        scores = np.where(present, effects[classes], 0).sum(1) / ways + 0.1 * (5 / ways - (5 / np.arange(2, 11)).mean())
        scores += generator.normal(0, 0.1, 200)
        interval = interval_for_new_classes(scores.mean(), scores, shared_classes(classes))
        covers.append(interval.low <= 0 <= interval.high)
    assert np.mean(covers) >= 0.89  # 95 % of 150 trials: P < 0.001 below 0.89


@given(st.integers(0, 10**6), st.integers(3, 9), st.integers(4, 30))
def test_the_slope_of_episodes_of_several_sizes_is_that_over_all_pairs(seed, classes, episodes):
    generator = np.random.default_rng(seed)
    in_episodes, ways = draw_classes(generator, classes, episodes, 3), generator.integers(1, 4, episodes)
    in_episodes[np.arange(3) >= ways[:, None]] = -1
    members = np.zeros((episodes, classes))
    for row, chosen in zip(members, in_episodes, strict=True):
        row[chosen[chosen >= 0]] = ways.mean() / (chosen >= 0).sum()
    first, second = np.triu_indices(episodes, 1)
    overlaps, scores = (members @ members.T)[first, second], generator.random(episodes)
    deviations = scores - scores.mean()
    shared = shared_classes(in_episodes)
    if overlaps.var() < 1e-9:
        assert shared is None
        return
    slope = np.polyfit(overlaps, deviations[first] * deviations[second], 1)[0]
    assert (shared.mean_overlap, shared.overlap_variance) == pytest.approx((overlaps.mean(), overlaps.var()))
    between = float(shared.variance_of_mean(scores).between_classes)
    assert between == pytest.approx(overlaps.mean() * slope, abs=1e-12)
