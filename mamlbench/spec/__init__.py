"""Plain data that says what to run. No torch, no files, no registry: a spec can cross a process or a network."""

from mamlbench.spec.preset import Preset, Setting, choose_preset
from mamlbench.spec.problems import explain
from mamlbench.spec.protocol import MODES, Mode, Protocol
from mamlbench.spec.published import Published
from mamlbench.spec.request import Folders, RunRequest
from mamlbench.spec.run_spec import Component, RunSpec, Training

__all__ = [
    "MODES",
    "Component",
    "Folders",
    "Mode",
    "Preset",
    "Protocol",
    "Published",
    "RunRequest",
    "RunSpec",
    "Setting",
    "Training",
    "choose_preset",
    "explain",
]
