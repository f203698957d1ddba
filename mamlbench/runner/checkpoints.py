"""Models on disk: tensors as safetensors, everything else as JSON; never a pickle."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor
from torch.utils import _pytree as pytree

from mamlbench.atomic_write import write_atomically
from mamlbench.errors import ConfigError
from mamlbench.nn.precision import in_precision
from mamlbench.record import TrainingData, read_record
from mamlbench.record.file_hashes import results_written
from mamlbench.record.model_inputs import ModelInputs
from mamlbench.record.training_data import read_hashes
from mamlbench.run_spec import RunSpec
from mamlbench.run_spec.outside_text import escaped, loads_strictly
from mamlbench.runner.checkpoint_slots import SLOTS
from mamlbench.runner.datasets.seen_test_data import TrainedOn
from mamlbench.runner.model_state import file_beside, named_tensors
from mamlbench.runner.tree_file import DamagedFileError, dump_tree, load_tree

MODEL = "model"

State = dict[str, Tensor]


@dataclass(frozen=True)
class ModelArtifact:
    """A trained model and the spec that it came from."""

    spec: RunSpec
    iteration: int
    state: State
    trained_on: TrainedOn | str
    """classes and images that it was trained on, or why they are unknown"""
    sha256: str
    """of the file of its tensors, as 64 hexadecimal digits"""
    inputs: ModelInputs | None = None
    """what its inputs are; None if they are no images, or an earlier release wrote the model"""

    def with_state(self, state: State) -> ModelArtifact:
        """The same model with another state."""
        return replace(self, state=state)

    def state_for(self, spec: RunSpec) -> State:
        """The state on the device and in the precision of ``spec``, tensors by name."""
        device = torch.device(spec.device)
        return pytree.tree_map(  # type: ignore[no-any-return]
            lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, in_precision(self.state, spec.precision)
        )


def save_model(
    folder: Path,
    spec: RunSpec,
    iteration: int,
    state: State,
    training_data: TrainingData | None = None,
    *,
    inputs: ModelInputs | None = None,
) -> Path:
    """Write ``model.safetensors`` and then ``model.json``, each atomically; return the latter's path.

    Args:
        folder: the run's folder of artifacts.
        spec: what was run.
        iteration: the one that validation selected.
        state: what was trained.
        training_data: what it was trained on; its hashes lie in the folder.
        inputs: what its inputs are, if they are images.

    Raises UnwrittenResultError if one cannot be written.
    """
    tensors = dump_tree(state)
    description = {
        "spec": spec.model_dump(mode="json"),
        "iteration": iteration,
        "tensors": f"{MODEL}.safetensors",
        "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
    }
    if training_data is not None:
        file = Path(training_data.file).name
        description["training_data"] = training_data.model_copy(update={"file": file}).model_dump(mode="json")
    if inputs is not None:
        description["inputs"] = inputs.model_dump(mode="json")
    path = folder / f"{MODEL}.json"
    with results_written(path, "The model", folder):
        write_atomically(folder / f"{MODEL}.safetensors", tensors)
        write_atomically(path, json.dumps(description, indent=1).encode())
    return path


def load_model(path: Path) -> ModelArtifact:
    """Read a model from its folder, its model.json or .safetensors, its run's record, or the JSON of a checkpoint.

    Raises ConfigError if there is none or it is damaged.
    """
    description = _description(path)
    try:
        content = loads_strictly(description.read_bytes())
        spec = RunSpec.model_validate(content.get("about", content)["spec"])
        tensors = file_beside(description, content["tensors"]).read_bytes()
        sha256 = hashlib.sha256(tensors).hexdigest()
        if content.get("tensors_sha256", sha256) != sha256:
            raise DamagedFileError(f"the SHA-256 of '{content['tensors']}' differs")
        tree = load_tree(tensors)
        state = named_tensors(tree["state"] if description.stem in SLOTS else tree)
        iteration = int(content.get("progress", content)["iteration"])
        about = content.get("about", content)
        inputs = None if about.get("inputs") is None else ModelInputs.model_validate(about["inputs"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError, DamagedFileError) as error:
        reason = escaped(str(error), 300)
        raise ConfigError(f"'{description}' is not a model that can be read: {reason}.") from error
    return ModelArtifact(spec, iteration, state, _trained_on(description, about), sha256, inputs)


def _trained_on(description: Path, content: dict[str, Any]) -> TrainedOn | str:
    """Read what a model was trained on, or say why it is unknown; a model is of use without it."""
    if content.get("training_data") is None:
        return "its model does not say what it was trained on"
    try:
        data = TrainingData.model_validate(content["training_data"])
        path = file_beside(description, Path(data.file).name)
    except ValueError as error:
        return f"what '{description.name}' says of its training data cannot be read ({escaped(str(error), 200)})"
    hashes = read_hashes(path, data)
    return hashes if isinstance(hashes, str) else TrainedOn(data, hashes)


def clone(state: State) -> State:
    """Copy every tensor, so that later training does not change it."""
    return pytree.tree_map(  # type: ignore[no-any-return]
        lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else deepcopy(leaf), state
    )


def _description(path: Path) -> Path:
    """Find the JSON file beside the tensors from a folder, a tensor file, a record or the JSON file itself."""
    if path.is_dir():
        path = path / f"{MODEL}.json"
    elif path.suffix == ".safetensors":
        path = path.with_suffix(".json")
    elif path.suffix == ".json" and path.is_file() and path.stem not in (MODEL, *SLOTS):
        record = read_record(path)
        if record.model is None:
            raise ConfigError(f"The run of '{path}' left no model: it is {record.status}.")
        path = path.parent / record.model
    if not path.is_file():
        raise ConfigError(f"There is no model at '{path}': give a run's record, its folder, or its model.json.")
    return path
