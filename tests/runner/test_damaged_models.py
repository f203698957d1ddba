"""Models from anywhere: another network's, cut, of other types, or outside their folder."""

import json
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from mamlbench.cli.main import main
from mamlbench.errors import ConfigError, ExitCode
from mamlbench.runner.model_state import file_beside, refuse_foreign_state


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a small model, as somebody who damages it would leave it: without the checksum of its tensors."""
    folder = tmp_path_factory.mktemp("trained")
    arguments = ["run", "--algo", "fomaml", "--dataset", "sinusoid", "--iterations", "1", "--test-episodes", "2"]
    assert main([*arguments, "--results-dir", str(folder)]) == ExitCode.OK
    (model,) = folder.rglob("model.json")
    content = json.loads(model.read_text())
    assert content.pop("tensors_sha256")
    model.write_text(json.dumps(content))
    return model.parent


@pytest.fixture
def model(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "model")


def evaluate(call, model):
    code, _, err = call("evaluate", str(model), "--test-episodes", "2")
    return code, err


def test_the_undamaged_model_is_evaluated(call, model):
    code, err = evaluate(call, model)
    assert code == ExitCode.OK, err


def with_header(content, change):
    """A safetensors file whose header is changed, as text."""
    (length,) = struct.unpack("<Q", content[:8])
    header = change(content[8 : 8 + length].decode()).encode()
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def first_tensor(change):
    def changed(text):
        header = json.loads(text)
        change(header[next(name for name in sorted(header) if name != "__metadata__")])
        return json.dumps(header)

    return lambda content: with_header(content, changed)


BYTES = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:-4],
    "longer": lambda content: content + bytes(4),
    "a header of exabytes": lambda content: b"\xff" * 8 + content[8:],
    "a header beyond the file": lambda content: struct.pack("<Q", len(content)) + content[8:],
    "a header of 99 MB": lambda content: struct.pack("<Q", 99_000_000) + content[8:],
    "an empty header": lambda content: bytes(8) + content[8:],
    "no JSON": lambda content: with_header(content, lambda text: text[1:]),
    "deep": lambda content: with_header(content, lambda text: '{"a":' * 10_000),
    "of unknown numbers": first_tensor(lambda tensor: tensor.update(dtype="F99")),
    "of a huge shape": first_tensor(lambda tensor: tensor.update(shape=[2**40, 2**40])),
    "of a negative length": first_tensor(lambda tensor: tensor.update(shape=[-1])),
    "of offsets beyond the file": first_tensor(lambda tensor: tensor.update(data_offsets=[0, 2**50])),
    "of offsets the wrong way": first_tensor(lambda tensor: tensor.update(data_offsets=tensor["data_offsets"][::-1])),
    "a pickle": lambda content: b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.",
}


@pytest.mark.parametrize("kind", BYTES)
def test_damaged_tensors_are_refused(call, model, kind):
    path = model / "model.safetensors"
    path.write_bytes(BYTES[kind](path.read_bytes()))
    code, err = evaluate(call, model)
    assert code == ExitCode.USAGE and "is not a model that can be read" in err and len(err) < 1000


TENSORS = {
    "missing": lambda tensors: tensors.pop(next(name for name in tensors if name.startswith("meta"))),
    "of one number": lambda tensors: tensors.update({name: value.flatten()[:1] for name, value in tensors.items()}),
    "integers": lambda tensors: tensors.update({name: value.long() for name, value in tensors.items()}),
    "not finite": lambda tensors: tensors.update({name: value * float("nan") for name, value in tensors.items()}),
    "turned": lambda tensors: tensors.update({name: value[None] for name, value in tensors.items()}),
    "none": lambda tensors: tensors.clear(),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_another_networks_weights_are_refused(call, model, kind):
    path = model / "model.safetensors"
    tensors = load_file(path)
    TENSORS[kind](tensors)
    save_file(tensors, path)
    code, err = evaluate(call, model)
    assert code == ExitCode.USAGE and "no model of this method and network" in err and len(err) < 1000


DESCRIPTIONS = {
    "a path outside": {"tensors": "../model/model.safetensors"},
    "an absolute path": {"tensors": "/etc/passwd"},
    "a number for a path": {"tensors": 1},
    "a folder": {"tensors": "."},
    "no path": {"tensors": None},
    "text for a number": {"iteration": "many"},
    "nothing for a number": {"iteration": None},
    "no spec": {"spec": None},
    "another spec": {"spec": {"algorithm": "maml"}},
}


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_damaged_descriptions_are_refused(call, model, kind):
    path = model / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | DESCRIPTIONS[kind]))
    code, err = evaluate(call, model)
    assert code == ExitCode.USAGE and "is not a model that can be read" in err and len(err) < 1000


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"spec": ' + b"[" * 100_000, b"\xff\xfe", b"{}"])
def test_descriptions_that_are_none_are_refused(call, model, content):
    (model / "model.json").write_bytes(content)
    code, err = evaluate(call, model)
    assert code == ExitCode.USAGE and "is not a model that can be read" in err and len(err) < 1000


def test_a_state_may_hold_more_and_other_precision(tmp_path):
    expected = {"w": torch.zeros(2, 3), "n": torch.tensor(1)}
    refuse_foreign_state(
        {"w": torch.ones(2, 3).double(), "n": torch.tensor(2), "moment": torch.ones(1)}, expected, tmp_path
    )
    for state, problem in (
        ({"w": torch.zeros(2, 3)}, r"n \(missing\)"),
        ({"w": torch.zeros(1), "n": torch.tensor(1)}, r"w \(\[1\] instead of \[2, 3\]\)"),
        ({"w": torch.zeros(2, 3), "n": torch.tensor(1.0)}, r"n \(float32 instead of int64\)"),
        ({"w": torch.full((2, 3), torch.inf), "n": torch.tensor(1)}, r"w \(not finite\)"),
    ):
        with pytest.raises(ConfigError, match=problem):
            refuse_foreign_state(state, expected, tmp_path)


def test_tensors_lie_beside_their_description(tmp_path):
    assert file_beside(tmp_path / "model.json", "model.safetensors") == tmp_path / "model.safetensors"
    for name in ("", ".", "..", "../x", "/x", "a\\b", "a\x00", 3, None):
        with pytest.raises(ValueError, match="no file beside it"):
            file_beside(tmp_path / "model.json", name)
