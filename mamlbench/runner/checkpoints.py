"""Models and checkpoints on disk: tensors as safetensors, everything else as JSON; never a pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from mamlbench.atomic_write import write_atomically
from mamlbench.errors import ConfigError
from mamlbench.nn.precision import in_precision
from mamlbench.record import read_record
from mamlbench.run_spec import RunSpec

MODEL, CHECKPOINT = "model", "checkpoint"
_ITERATION = "iteration"

State = dict[str, Tensor]


@dataclass(frozen=True)
class ModelArtifact:
    """A trained model and the spec that it came from."""

    spec: RunSpec
    iteration: int
    state: State

    def state_for(self, spec: RunSpec) -> State:
        """The state on the device and in the precision of ``spec``, tensors by name."""
        state: State = in_precision(self.state, spec.precision)
        return {name: value.to(torch.device(spec.device)) for name, value in state.items()}


def save_state(folder: Path, name: str, spec: RunSpec, iteration: int, state: State) -> Path:
    """Write ``<name>.safetensors`` and then ``<name>.json``, each atomically; return the latter's path."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    write_atomically(folder / f"{name}.safetensors", save(tensors, {_ITERATION: str(iteration)}))
    description = {"spec": spec.model_dump(mode="json"), "iteration": iteration, "tensors": f"{name}.safetensors"}
    path = folder / f"{name}.json"
    write_atomically(path, json.dumps(description, indent=1).encode())
    return path


def load_model(path: Path) -> ModelArtifact:
    """Read a model from its folder, its model.json or .safetensors, or its run's record.

    Raises ConfigError if there is none or it is damaged.
    """
    description = _description(path)
    try:
        content = json.loads(description.read_bytes())
        spec = RunSpec.model_validate(content["spec"])
        state = load_file(description.parent / content["tensors"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"'{description}' is not a model that can be read: {reason}.") from error
    return ModelArtifact(spec, int(content["iteration"]), state)


def clone(state: State) -> State:
    """Copy every tensor, so that later training does not change it."""
    return {name: value.detach().clone() for name, value in state.items()}


def _description(path: Path) -> Path:
    """Find the JSON file beside the tensors from a folder, a tensor file, a record or the JSON file itself."""
    if path.is_dir():
        path = path / f"{MODEL}.json"
    elif path.suffix == ".safetensors":
        path = path.with_suffix(".json")
    elif path.suffix == ".json" and path.is_file() and path.name not in (f"{MODEL}.json", f"{CHECKPOINT}.json"):
        record = read_record(path)
        if record.model is None:
            raise ConfigError(f"The run of '{path}' left no model: it is {record.status}.")
        path = path.parent / record.model
    if not path.is_file():
        raise ConfigError(f"There is no model at '{path}': give a run's record, its folder, or its model.json.")
    return path
