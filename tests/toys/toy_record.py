"""A tiny run specification and a record of it, which several files of tests share."""

from mamlbench.record import current_environment, make_record
from mamlbench.run_spec import Component, Protocol, RunSpec, Training


def make_spec(algorithm="maml", seed=0):
    one = Component(name="glyphs")
    return RunSpec(
        algorithm=Component(name=algorithm),
        dataset=one,
        backbone=one,
        sampler=one,
        protocol=Protocol(),
        training=Training(iterations=1, meta_batch_size=1, ways=5, shots=1, queries=1, validate_every=1),
        preset="quick",
        seed=seed,
    )


def tiny_record(spec=None, attempt=1):
    spec = spec or make_spec()
    return make_record(spec, current_environment(), "finished", attempt=attempt, started="2026-01-01T00:00:00Z")
