"""Two columns for the tables: mamlbench report --plugin FILE --columns score,energy,seed_range. No torch needed."""

import mamlbench

WATTS = 65
"""Power of a busy processor: put your own in."""


def energy(record):
    """Watt-hours of one run; None leaves the cell empty."""
    if record.measurement is None or record.measurement.device_clock != "cpu":
        return None
    return WATTS * record.measurement.wall_seconds / 3600


def seed_range(records):
    """How far apart the seeds of one row are, in the first mode."""
    scores = [next(iter(record.test.modes.values())).score.mean for record in records if record.test]
    return max(scores) - min(scores) if len(scores) > 1 else None


@mamlbench.hookimpl
def mamlbench_report_columns(register):
    register(
        "energy",
        energy,
        unit="Wh",
        lower_is_better=True,
        measures_machine=True,
        about=f"watt-hours of a run at {WATTS} W",
    )
    register(
        "seed_range",
        seed_range,
        of="records",
        heading="seed range",
        unit="%",
        lower_is_better=True,
        about="best minus worst training seed",
    )
