"""The contract of an algorithm: its declarations about training episodes are correct."""

from __future__ import annotations

from mamlbench.api import Examples
from mamlbench.run_spec import MODES
from mamlbench.testing.algorithm_subject import TASKS, AlgorithmSubject
from mamlbench.testing.checks import Check, NotApplicable, ensure
from mamlbench.testing.tensor_comparison import changed
from mamlbench.testing.tiny import QUERIES, WAYS

OTHER_WAYS = WAYS + 2


def other_ways_are_possible(subject: AlgorithmSubject) -> None:
    """With any_ways, training, and testing a trained model, works with different numbers of ways."""
    if not subject.plugin.any_ways:
        raise NotApplicable("any_ways is False (the default): training and test have the same ways")
    algorithm = subject.build()
    batch = subject.training_batch(algorithm)
    if subject.plugin.trains_on == "episodes":
        batch = subject.episodes("train", ways=OTHER_WAYS)
    update = algorithm.compute_update(batch)
    algorithm.apply(update)
    not_finite = [name for name, value in algorithm.meta.items() if not value.isfinite().all()]
    ensure(not not_finite, f"after a step on {OTHER_WAYS}-way episodes these are not finite: {', '.join(not_finite)}")
    tested = subject.build(ways=OTHER_WAYS - 1)
    tested.load_state(algorithm.state())
    episodes = subject.episodes(ways=OTHER_WAYS - 1)
    adapted = tested.adapt(episodes.support, episodes.keys)
    for mode in MODES:
        shape = list(adapted.predict(episodes.query.x, mode).shape)
        expected = [TASKS, (OTHER_WAYS - 1) * QUERIES, OTHER_WAYS - 1]
        ensure(shape == expected, f"predictions of {OTHER_WAYS - 1} ways ({mode}) have shape {shape}, not {expected}")


def queries_are_used_as_declared(subject: AlgorithmSubject) -> None:
    """Other query images change the update if uses_queries is True, and do not change it otherwise."""
    if subject.plugin.trains_on == "examples":
        raise NotApplicable("trains on labeled examples, not on episodes")
    batch = subject.episodes("train")
    changed_batch = batch._replace(query=Examples(batch.query.x.flip(-1), batch.query.y))
    first, second = (subject.build().compute_update(episodes).sums for episodes in (batch, changed_batch))
    if subject.plugin.uses_queries:
        ensure(bool(changed(first, second)), "the update does not depend on the query images")
    else:
        differing = changed(first, second)
        ensure(not differing, f"these depend on the query images: {', '.join(differing)}")


EPISODES = (
    Check(
        other_ways_are_possible,
        "Store nothing per class in meta. Derive the number of ways in init from the support set (context.shots per "
        "class) and in initial_state from objective.outputs; or leave any_ways = False.",
    ),
    Check(queries_are_used_as_declared, "Set uses_queries = False if training uses only the support sets."),
)
