"""Test episodes computed again, each compared with the scores that a record has of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mamlbench.interrupts import check_interrupt
from mamlbench.record import Evaluation, ModeResult
from mamlbench.runner.build import Experiment
from mamlbench.runner.checkpoints import State
from mamlbench.runner.evaluate import rounded
from mamlbench.runner.scoring import batches, batches_of_test, final_scores, running_statistics
from mamlbench.runner.sized_tasks import EpisodeGroup, numbers_of


@dataclass(frozen=True)
class RepeatedScore:
    """One score of a record beside the one computed again."""

    episode: int
    where: str
    """network, metric and mode"""
    recorded: float
    computed: float

    @property
    def difference(self) -> float:
        """Absolute difference; infinite if one of them is not a number."""
        difference = abs(self.recorded - self.computed)
        return difference if difference < float("inf") else float("inf")


def choose_episodes(total: int, count: int, seed: int) -> list[int]:
    """Choose ``count`` of ``total`` episodes by chance, or all of them if there are fewer; in order."""
    return sorted(random.Random(seed).sample(range(total), min(count, total)))


def repeat_episodes(
    experiment: Experiment, test: Evaluation, trained: State, untrained: State, chosen: Sequence[int]
) -> list[RepeatedScore]:
    """Score test episodes again, by the trained and the untrained network, in every metric and mode.

    The chosen episodes are computed together. How many others are computed beside one can change the last bits of its
    outputs; so an episode whose scores differ from the record's is computed again in the batch that the run had it in.

    Args:
        experiment: of the record's spec, with its engine.
        test: the record's test.
        trained: the state that was tested.
        untrained: the state before training.
        chosen: numbers of episodes, below the number of those that were scored.

    Returns every score of the chosen episodes that the record has, as it was computed last.
    """
    scores: list[RepeatedScore] = []
    for name, state, is_trained in (("trained", trained, True), ("untrained", untrained, False)):
        recorded = _recorded(test, name)
        if recorded:
            experiment.algorithm.load_state(state)
            scores += _Repeater(experiment, test, name, recorded, is_trained=is_trained).scores(chosen)
    return scores


def _recorded(test: Evaluation, network: str) -> dict[tuple[str, str], Sequence[float]]:
    """The scores of each episode by metric and mode."""
    values = {
        (metric, mode): _scores_of(result, network)
        for metric, results in test.metrics.items()
        for mode, result in results.modes.items()
    }
    return {key: scores for key, scores in values.items() if scores}


def _scores_of(result: ModeResult, network: str) -> Sequence[float]:
    return result.episode_scores if network == "trained" else result.untrained_episode_scores


class _Repeater:
    """Scores episodes by one network, which is loaded."""

    def __init__(
        self,
        experiment: Experiment,
        test: Evaluation,
        network: str,
        recorded: dict[tuple[str, str], Sequence[float]],
        *,
        is_trained: bool,
    ) -> None:
        self.experiment, self.protocol = experiment, test.protocol
        self.network, self.recorded, self.is_trained = network, recorded, is_trained
        self.total = len(next(iter(recorded.values())))
        self.statistics = running_statistics(experiment, test.protocol)

    def scores(self, chosen: Sequence[int]) -> list[RepeatedScore]:
        scores = self._compute(batches(self.experiment, "test", self.protocol, list(chosen)), chosen)
        different = {score.episode for score in scores if score.difference}
        if not different:
            return scores
        whole = [
            batch
            for batch in batches_of_test(self.experiment, self.protocol, self.total, trained=self.is_trained)
            if different & {*numbers_of(batch)}
        ]
        again = list(self._until_one_differs(whole, different))
        done = {score.episode for score in again}
        return [score for score in scores if score.episode not in done] + again

    def _until_one_differs(self, whole: Sequence[EpisodeGroup], different: set[int]) -> Iterator[RepeatedScore]:
        """Compute whole batches again; one that differs still is enough to know."""
        for batch in whole:
            scores = self._compute([batch], different)
            yield from scores
            if any(score.difference for score in scores):
                return

    def _compute(self, groups: Sequence[EpisodeGroup], shown: Sequence[int] | set[int]) -> list[RepeatedScore]:
        scores = []
        for group in groups:
            check_interrupt()
            finals = final_scores(self.experiment, group, self.statistics, every_step=self.is_trained)
            for part, final in zip(group, finals, strict=True):
                for (metric, mode), recorded in self.recorded.items():
                    computed = rounded(final[metric][mode])  # type: ignore[index]
                    scores += [
                        RepeatedScore(episode, f"{self.network}, {metric}, {mode}", recorded[episode], value)
                        for episode, value in zip(part.numbers, computed, strict=True)
                        if episode in shown
                    ]
        return scores
