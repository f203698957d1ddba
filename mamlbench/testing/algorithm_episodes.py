"""What an algorithm declares of its training episodes, compared with what it does."""

from __future__ import annotations

from mamlbench.api import Examples
from mamlbench.run_spec import MODES
from mamlbench.testing.algorithm_subject import TASKS, AlgorithmSubject
from mamlbench.testing.run_checks import Check, NotApplicable, demand
from mamlbench.testing.tensor_comparison import changed
from mamlbench.testing.tiny import QUERIES, WAYS

OTHER_WAYS = WAYS + 2


def other_ways_are_possible(subject: AlgorithmSubject) -> None:
    """With any_ways it trains on episodes of other ways, and a trained model is tested with others yet."""
    if not subject.plugin.any_ways:
        raise NotApplicable("any_ways is False (the default): training and test have the same ways")
    algorithm = subject.build()
    batch = subject.training_batch(algorithm)
    if subject.plugin.trains_on == "episodes":
        batch = subject.episodes("train", ways=OTHER_WAYS)
    update = algorithm.compute_update(batch)
    algorithm.apply(update)
    odd = [name for name, value in algorithm.meta.items() if not value.isfinite().all()]
    demand(not odd, f"after a step on {OTHER_WAYS}-way episodes these are not finite: {', '.join(odd)}")
    tested = subject.build(ways=OTHER_WAYS - 1)
    tested.load_state(algorithm.state())
    episodes = subject.episodes(ways=OTHER_WAYS - 1)
    adapted = tested.adapt(episodes.support, episodes.keys)
    for mode in MODES:
        shape = list(adapted.predict(episodes.query.x, mode).shape)
        expected = [TASKS, (OTHER_WAYS - 1) * QUERIES, OTHER_WAYS - 1]
        demand(shape == expected, f"predictions of {OTHER_WAYS - 1} ways ({mode}) have shape {shape}, not {expected}")


def queries_are_used_as_declared(subject: AlgorithmSubject) -> None:
    """Other query images give another update if uses_queries, and the same one if not."""
    if subject.plugin.trains_on == "examples":
        raise NotApplicable("trains on labeled examples, not on episodes")
    batch = subject.episodes("train")
    others = batch._replace(query=Examples(batch.query.x.flip(-1), batch.query.y))
    first, second = (subject.build().compute_update(each).sums for each in (batch, others))
    if subject.plugin.uses_queries:
        demand(bool(changed(first, second)), "the update is the same with other query images")
    else:
        differing = changed(first, second)
        demand(not differing, f"with other query images these differ: {', '.join(differing)}")


EPISODES = (
    Check(
        other_ways_are_possible,
        "Keep nothing of a class in meta; in init find the ways by the support set (context.shots examples of each "
        "class), in initial_state by objective.outputs; or leave any_ways = False.",
    ),
    Check(queries_are_used_as_declared, "Say uses_queries = False if training looks at the support sets alone."),
)
