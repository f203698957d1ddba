"""Scores of episodes: adapt to each support set, then compute every metric on the predictions for its queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mamlbench.api import Algorithm, BatchStats, EpisodeBatch, Metric
from mamlbench.engine import MAX_EXAMPLE_BYTES
from mamlbench.interrupts import check_interrupt
from mamlbench.objectives.objective import ClassificationOfPadded
from mamlbench.run_spec import Protocol, TestMode
from mamlbench.runner.build import Experiment
from mamlbench.runner.checkpoints import State
from mamlbench.runner.divergence import check_scores, diverged_episode, diverged_tasks, one_task
from mamlbench.runner.engine_workload import task_bytes
from mamlbench.runner.meter import Meter
from mamlbench.runner.ranks.shares import map_over_ranks
from mamlbench.runner.running_statistics import in_test_mode, measure_running_statistics
from mamlbench.runner.shuffled_episodes import adaptation_to_shuffled, ways_of
from mamlbench.runner.sized_tasks import EpisodeGroup, SizedPart, by_size, padded_groups
from mamlbench.student_t import PILOT_EPISODES, episodes_needed

EPISODES_AT_ONCE = 100
"""Most episodes computed together; fewer if examples are large."""

EVERY_STEP_UP_TO, GROWTH = 5, 1.5
"""Queries are scored after each of the first steps, then whenever the steps have grown by this factor, and last."""

SAME = 1e-6
"""Predictions that differ by less than this part of the largest are the same."""


@dataclass
class Scores:
    """Scores per episode: after the last step in every mode, and after earlier steps in the first mode."""

    final: dict[str, dict[TestMode, Tensor]]  # by metric; each [episodes]
    after_step: dict[str, Tensor]  # by metric; each [scored steps, episodes]
    steps: list[int]  # the numbers of the scored steps: 0, 1, ..., the last
    details: dict[str, Tensor]  # further results of each episode, by name: [episodes, ...]
    images: Tensor | None = None  # [episodes, ways, shots + queries] int64, which images a test episode has
    diverged: int = 0  # episodes whose predictions are not finite
    constant: dict[TestMode, int] = field(default_factory=dict)  # test episodes with one prediction for every query

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return next(iter(self.after_step.values())).shape[1]


def score_test(
    experiment: Experiment, protocol: Protocol, meter: Meter, *, trained: State, untrained: State | None
) -> tuple[Scores, Scores | None]:
    """Score the trained and the untrained network on the same test episodes; the trained one remains loaded.

    Without an untrained one its scores are None. With ``test_until`` the first test episodes decide how many there are.

    Raises DivergedError if a prediction of the trained network is not finite. Those of the untrained one may be:
    training may be what makes adaptation stable.
    """
    algorithm = experiment.algorithm
    algorithm.load_state(trained)
    pilot = protocol.test_episodes if protocol.test_until is None else min(PILOT_EPISODES, protocol.test_episodes)
    trained_scores = score_episodes(experiment, algorithm, "test", protocol, meter, episodes=range(pilot))
    if protocol.test_until is not None:
        first = trained_scores.final[experiment.metrics[0].name][protocol.modes[0]]
        total = min(episodes_needed(first.double().numpy(), protocol.test_until), protocol.test_episodes)
        if total > pilot:
            rest = score_episodes(experiment, algorithm, "test", protocol, meter, episodes=range(pilot, total))
            trained_scores = _joined([trained_scores, rest])
    if untrained is None:
        return trained_scores, None
    algorithm.load_state(untrained)
    same = range(trained_scores.episodes)
    untrained_scores = score_episodes(
        experiment, algorithm, "test", protocol, meter, every_step=False, episodes=same, may_diverge=True
    )
    algorithm.load_state(trained)
    return trained_scores, untrained_scores


def score_episodes(
    experiment: Experiment,
    algorithm: Algorithm,
    split: str,
    protocol: Protocol,
    meter: Meter,
    *,
    every_step: bool = True,
    episodes: range | None = None,
    may_diverge: bool = False,
) -> Scores:
    """Score episodes of ``split``: the first ones, as many as the protocol has for it, or those of these numbers.

    Raises DivergedError that names the episode if a prediction is not finite, unless that may be: then it is counted.
    """
    if episodes is None:
        episodes = range(protocol.test_episodes if split == "test" else protocol.validation_episodes)
    statistics = running_statistics(experiment, protocol)
    scorer = _Scorer(experiment, algorithm, split, meter, statistics, every_step, may_diverge)
    groups = batches(experiment, split, protocol, episodes)
    # a batch is never divided, so that the scores of a network do not depend on the number of ranks
    scores = _joined([part for parts in map_over_ranks(experiment.ranks, scorer.score, groups) for part in parts])
    return in_order(scores, [part for group in groups for part in group]) if protocol.sizes_vary else scores


@dataclass(frozen=True)
class _Scorer:
    """Scores groups of episodes that are computed together."""

    experiment: Experiment
    algorithm: Algorithm
    split: str
    meter: Meter
    statistics: BatchStats | None
    every_step: bool
    may_diverge: bool

    def score(self, group: EpisodeGroup) -> list[Scores]:
        """Score a group: its parts, each of one size."""
        check_interrupt()
        with self.meter.segment("data"):
            batches = [self.experiment.episodes_of(self.split, *part) for part in group]
        predictions = predict_group(
            self.experiment, self.algorithm, group, batches, self.statistics, every_step=self.every_step
        )
        return [
            self._score_part(*part, batch, outputs, steps)
            for part, batch, (outputs, steps) in zip(group, batches, predictions, strict=True)
        ]

    def _score_part(
        self,
        numbers: Sequence[int],
        protocol: Protocol,
        batch: EpisodeBatch,
        outputs: dict[TestMode, Tensor],
        steps: dict[int, Tensor],
    ) -> Scores:
        experiment, split = self.experiment, self.split
        diverged = diverged_tasks([*outputs.values(), *steps.values()])
        if diverged and not self.may_diverge:
            raise diverged_episode(experiment, split, numbers[diverged[0]], one_task(batch, diverged[0]))
        scores = _scores(experiment.metrics, outputs, steps, batch)
        if self.may_diverge:
            scores.diverged = len({*diverged, *_without_score(scores)})
        else:
            _check(scores, experiment.metrics, outputs, split, numbers[0])
        if split == "test":
            scores.details = _details(batch, outputs, keep_predictions=protocol.keep_predictions)
            scores.images = batch.images
            scores.constant = {mode: count_constant(values, batch.query.y) for mode, values in outputs.items()}
        return scores


def running_statistics(experiment: Experiment, protocol: Protocol) -> BatchStats | None:
    """What mode ``running`` needs of the network as it is; None if the protocol does not have that mode."""
    return measure_running_statistics(experiment) if "running" in protocol.modes else None


def batches(experiment: Experiment, split: str, protocol: Protocol, episodes: Sequence[int]) -> list[EpisodeGroup]:
    """Split the numbers of episodes into those that are computed together."""
    if not protocol.sizes_vary:
        return _of_one_size(experiment, split, protocol, episodes)
    by_sizes = by_size(experiment.sampler, split, protocol, episodes)
    if experiment.padding_problem:
        return [group for shape, numbers in by_sizes for group in _of_one_size(experiment, split, shape, numbers)]
    bytes_of_one = task_bytes(experiment.spec, experiment.dataset.splits[split], 1)
    return padded_groups(by_sizes, EPISODES_AT_ONCE, MAX_EXAMPLE_BYTES // max(1, bytes_of_one))


def _of_one_size(experiment: Experiment, split: str, protocol: Protocol, episodes: Sequence[int]) -> list[EpisodeGroup]:
    size = _batch_size(experiment, split, protocol)
    return [[SizedPart(episodes[first : first + size], protocol)] for first in range(0, len(episodes), size)]


def batches_of_test(experiment: Experiment, protocol: Protocol, total: int, *, trained: bool) -> list[EpisodeGroup]:
    """The numbers of the ``total`` test episodes as ``score_test`` computes them together, of one of its networks."""
    pilot = total if protocol.test_until is None or not trained else min(PILOT_EPISODES, total)
    parts = [range(pilot), *([range(pilot, total)] if total > pilot else [])]
    return [group for part in parts for group in batches(experiment, "test", protocol, part)]


def final_scores(
    experiment: Experiment, group: EpisodeGroup, statistics: BatchStats | None, *, every_step: bool
) -> list[dict[str, dict[TestMode, Tensor]]]:
    """Score the test episodes of a group after the last step: of each part by metric and mode, each ``[T]``.

    The bits are those of ``score_episodes``. ``every_step`` is as there: whether predictions are made after earlier
    steps too. ``statistics`` are those of ``running_statistics``.
    """
    batches = [experiment.episodes_of("test", *part) for part in group]
    predictions = predict_group(experiment, experiment.algorithm, group, batches, statistics, every_step=every_step)
    return [
        _scores(experiment.metrics, outputs, steps, batch).final
        for batch, (outputs, steps) in zip(batches, predictions, strict=True)
    ]


def _batch_size(experiment: Experiment, split: str, protocol: Protocol) -> int:
    examples = protocol.ways * (protocol.shots + protocol.queries)
    size = task_bytes(experiment.spec, experiment.dataset.splits[split], examples)
    return min(EPISODES_AT_ONCE, max(1, MAX_EXAMPLE_BYTES // max(1, size)))


Predictions = tuple[dict[TestMode, Tensor], dict[int, Tensor]]
"""Outputs ``[T, n, outputs]`` in each mode after the last step, and in the first mode by number of the step."""


def predict_group(
    experiment: Experiment,
    algorithm: Algorithm,
    group: EpisodeGroup,
    batches: Sequence[EpisodeBatch],
    statistics: BatchStats | None,
    *,
    every_step: bool,
) -> list[Predictions]:
    """Adapt to the episodes of a group together, and predict for those of each part."""
    with experiment.sized([part.shape for part in group]):
        return predict_parts(algorithm, batches, group[0].shape.modes, statistics, every_step=every_step)


def predict_parts(
    algorithm: Algorithm,
    batches: Sequence[EpisodeBatch],
    modes: Sequence[TestMode],
    statistics: BatchStats | None,
    *,
    every_step: bool,
) -> list[Predictions]:
    """Adapt to episodes together, each part of one size, and predict for those of each part."""
    outputs: dict[TestMode, list[Tensor]] = {}
    by_step: dict[int, list[Tensor]] = {}
    for together in _by_adaptation(modes):
        with in_test_mode(together[0], statistics):
            for step, adapted in enumerate(adaptation_to_shuffled(algorithm, batches)):
                if every_step and modes[0] in together and _is_scored(step, by_step):
                    by_step[step] = adapted.predict(modes[0])
            if modes[0] in together and step not in by_step:
                by_step[step] = adapted.predict(modes[0])
            for mode in together:
                outputs[mode] = by_step[step] if mode == modes[0] else adapted.predict(mode)
    return [
        (
            {mode: _of_classes(algorithm, outputs[mode][part], batch) for mode in modes},
            {step: _of_classes(algorithm, values[part], batch) for step, values in by_step.items()},
        )
        for part, batch in enumerate(batches)
    ]


def _of_classes(algorithm: Algorithm, outputs: Tensor, batch: EpisodeBatch) -> Tensor:
    """The outputs for the classes of the episodes: a network that was built for more classes has more."""
    if isinstance(algorithm.objective, ClassificationOfPadded):
        return outputs[..., : ways_of(batch)]
    return outputs[..., : algorithm.objective.outputs]


def _by_adaptation(modes: Sequence[TestMode]) -> list[list[TestMode]]:
    """The modes that share an adaptation: 'running' has one of its own, in which it normalizes the support set too."""
    groups = ([mode for mode in modes if (mode == "running") == running] for running in (False, True))
    return [group for group in groups if group]


def _is_scored(step: int, scored: Iterable[int]) -> bool:
    return step <= EVERY_STEP_UP_TO or step >= GROWTH * max(scored)


def _scores(
    metrics: Sequence[Metric], outputs: dict[TestMode, Tensor], by_step: dict[int, Tensor], batch: EpisodeBatch
) -> Scores:
    y = batch.query.y
    first, *others = outputs
    final: dict[str, dict[TestMode, Tensor]] = {}
    after_step: dict[str, Tensor] = {}
    for metric in metrics:
        scores = [metric.compute(outputs_of_step, y) for outputs_of_step in by_step.values()]  # each [T]
        after_step[metric.name] = torch.stack(scores).cpu()  # [scored steps, T]
        final[metric.name] = {first: after_step[metric.name][-1]}
        final[metric.name] |= {mode: metric.compute(outputs[mode], y).cpu() for mode in others}
    return Scores(final, after_step, list(by_step), {})


def _without_score(scores: Scores) -> list[int]:
    """The episodes that have a score that is not finite, as positions."""
    values = torch.stack([values for modes in scores.final.values() for values in modes.values()])  # [.., T]
    return (~values.isfinite().all(0)).nonzero().flatten().tolist()


def _check(scores: Scores, metrics: Sequence[Metric], outputs: dict[TestMode, Tensor], split: str, first: int) -> None:
    for metric in metrics:
        for mode, values in scores.final[metric.name].items():
            check_scores(metric, values, outputs[mode], split, first)


def count_constant(outputs: Tensor, y: Tensor) -> int:
    """Count tasks ``[T, n, outputs]`` whose n predictions are one: the same class or, in regression, the same value."""
    if outputs.shape[1] < 2:
        return 0
    predictions = outputs if y.is_floating_point() else outputs.argmax(-1, keepdim=True).float()
    spread = predictions.amax(1) - predictions.amin(1)  # [T, outputs]
    return int((spread <= SAME * predictions.abs().amax(1)).all(-1).sum())


def _details(batch: EpisodeBatch, outputs: dict[TestMode, Tensor], *, keep_predictions: bool) -> dict[str, Tensor]:
    """What is kept of T test episodes besides scores; ``mamlbench.record.read_episodes`` describes it."""
    y = batch.query.y
    details: dict[str, Tensor] = {} if batch.classes is None else {"classes": batch.classes}
    if not y.is_floating_point():
        empty = y.new_zeros(batch.tasks, next(iter(outputs.values())).shape[-1])  # [T, ways]
        details["queries"] = empty.scatter_add(1, y, torch.ones_like(y))
        for mode, values in outputs.items():
            predicted = values.argmax(-1)  # [T, n]
            details[f"{mode}/right"] = empty.scatter_add(1, y, (predicted == y).long())
            details[f"{mode}/predicted"] = empty.scatter_add(1, predicted, torch.ones_like(y))
    if keep_predictions:
        details["targets"] = y
        details |= {f"{mode}/outputs": values.float() for mode, values in outputs.items()}
    return {name: value.cpu() for name, value in details.items()}


def _stacked(parts: Sequence[Tensor], filler: int) -> Tensor:
    """Tensors ``[E, ...]`` one after the other; of unequal shapes each is enlarged with a filler."""
    if len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(list(parts))
    shape = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    whole = parts[0].new_full((sum(map(len, parts)), *shape), filler)
    start = 0
    for part in parts:
        whole[(slice(start, start + len(part)), *map(slice, part.shape[1:]))] = part
        start += len(part)
    return whole


def in_order(scores: Scores, parts: Sequence[SizedPart]) -> Scores:
    """The scores in the order of the episodes' numbers, with the size of each; no class stands for a filler."""
    order = torch.tensor([number for part in parts for number in part.numbers]).argsort()
    ways, shots = (
        torch.tensor([getattr(part.shape, name) for part in parts for _ in part.numbers]) for name in ("ways", "shots")
    )
    scores.final = {
        metric: {mode: values[order] for mode, values in modes.items()} for metric, modes in scores.final.items()
    }
    scores.after_step = {metric: values[:, order] for metric, values in scores.after_step.items()}
    scores.details = {name: values[order] for name, values in scores.details.items()}
    if scores.details:
        scores.details |= {"ways": ways[order], "shots": shots[order]}
    scores.images = None if scores.images is None else scores.images[order]
    return scores


def _joined(parts: Sequence[Scores]) -> Scores:
    first = parts[0]
    return Scores(
        {
            metric: {mode: torch.cat([part.final[metric][mode] for part in parts]) for mode in modes}
            for metric, modes in first.final.items()
        },
        {metric: torch.cat([part.after_step[metric] for part in parts], dim=1) for metric in first.after_step},
        first.steps,
        {name: _stacked([part.details[name] for part in parts], 0) for name in first.details},
        None if first.images is None else _stacked([part.images for part in parts if part.images is not None], -1),
        sum(part.diverged for part in parts),
        {mode: sum(part.constant[mode] for part in parts) for mode in first.constant},
    )
