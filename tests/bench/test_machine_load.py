"""The load that others put on the machine, from two readings of the system's counters."""

import pytest

from mamlbench.bench import machine_load
from mamlbench.bench.machine_load import LoadMeter, MachineLoad


@pytest.fixture
def readings(monkeypatch):
    def set_readings(*values):
        iterator = iter(values)
        monkeypatch.setattr(machine_load, "_read", lambda: next(iterator))

    return set_readings


def test_others_are_what_this_process_did_not_use(readings):
    readings((0.0, 100.0, 5.0, 1.0), (10.0, 120.0, 6.0, 16.0))
    load = LoadMeter().load()
    assert load == MachineLoad(others=0.5, stolen=0.1)
    assert load.is_busy and str(load) == "other programs used 0.5 cores, the host took 0.1"


def test_an_idle_machine_is_not_busy(readings):
    readings((0.0, 100.0, 5.0, 1.0), (10.0, 119.0, 5.0, 20.5))
    assert LoadMeter().load() == MachineLoad(0.0, 0.0)
    assert not MachineLoad(0.05, 0.0).is_busy


def test_it_is_not_known_on_every_system(readings):
    readings(None, None)
    assert LoadMeter().load() is None


def test_the_systems_counters_are_read(monkeypatch, tmp_path):
    file = tmp_path / "stat"
    file.write_text("cpu  100 50 30 9999 7 3 2 40 0 0\ncpu0 1 2\n")
    monkeypatch.setattr(machine_load, "Path", lambda name: file)
    monkeypatch.setattr(machine_load.os, "sysconf", lambda name: 100)
    _, busy, stolen, own = machine_load._read()
    assert (busy, stolen) == (1.85, 0.4) and own > 0
    file.write_text("cpu  1 2\n")
    assert machine_load._read() is None
