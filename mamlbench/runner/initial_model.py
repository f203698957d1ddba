"""Training that starts from a trained model: its features, and its head if that is the same one (``--init``)."""

from __future__ import annotations

from pathlib import Path

from mamlbench.api import Algorithm
from mamlbench.errors import ConfigError, ConfigProblem, summarize_names
from mamlbench.run_spec import Component, RunSpec
from mamlbench.runner.checkpoints import ModelArtifact, State, load_model
from mamlbench.runner.model_state import foreign_tensors

FEATURES, HEAD = "meta/features.", "meta/head."
"""How names of a network's tensors begin in the state of a method that learns the network's parameters."""


def hash_of_initial_model(path: Path, backbone: Component) -> str:
    """Return the SHA-256 of a model that a run with this network is to start from.

    Raises ConfigError if there is none at ``path``, or it has another network.
    """
    artifact = load_model(path)
    if artifact.spec.backbone != backbone:
        own, other = _described(backbone), _described(artifact.spec.backbone)
        text = f"The network of '{path}' is {other}, and that of this run {own}: --init needs the same one."
        raise ConfigError(ConfigProblem(text, "init"))
    return artifact.sha256


def load_initial_model(spec: RunSpec) -> ModelArtifact:
    """Read the model that a run started from. Raises ConfigError if it is not there any more, or another one."""
    artifact = load_model(Path(spec.init))
    if artifact.sha256 != spec.init_sha256:
        raise ConfigError(f"'{spec.init}' is not the model any more that the run starts from: its SHA-256 differs.")
    return artifact


def start_from_initial_model(algorithm: Algorithm, spec: RunSpec) -> None:
    """Replace the initial features of a method, and its head if it has the same tensors, if the spec names a model.

    Whatever else the method learns, such as rates, stays as it was initialized. Raises ConfigError if the network does
    not fit.
    """
    if not spec.init_sha256:
        return
    artifact, state = load_initial_model(spec), algorithm.state()
    trained, features = artifact.state_for(spec), _part(state, FEATURES)
    if not features:
        raise ConfigError(
            f"Algorithm '{spec.algorithm.name}' has no features that those of a model could replace: leave out --init."
        )
    if wrong := foreign_tensors(trained, features):
        raise ConfigError(f"'{spec.init}' does not fit the network of this run: {summarize_names(wrong, 3)}.")
    head, trained_head = _part(state, HEAD), _part(trained, HEAD)
    same_head = head.keys() == trained_head.keys() and not foreign_tensors(trained_head, head)
    names = [*features, *(head if same_head else ())]
    algorithm.load_state(state | {name: trained[name] for name in names})


def _part(state: State, prefix: str) -> State:
    return {name: value for name, value in state.items() if name.startswith(prefix)}


def _described(backbone: Component) -> str:
    options = ", ".join(f"{name}={value}" for name, value in backbone.options.items())
    return f"{backbone.name} ({options})" if options else backbone.name
