"""Pytrees as bytes: tensors as safetensors, the structure around them as JSON in its header.

Nothing is executed to read one. A named tuple or a dataclass is stored under the name of its class, which must be
imported already when it is read: a file can name a class, but import nothing and call nothing of its own.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mamlbench.errors import ConfigError
from mamlbench.nn.parameters import Parameters

_TREE = "tree"
"""Key of the structure in the header's metadata."""
_SEQUENCES: dict[str, Any] = {"list": list, "tuple": tuple, "size": torch.Size}
_MAPPINGS: dict[str, Any] = {"dict": dict, "ordered": OrderedDict, "parameters": Parameters}
_STORED_AS_THEY_ARE = {
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8),
    *(torch.int64, torch.int32, torch.int16, torch.int8),
}
_PLAIN: dict[type, Callable[[Any], Any]] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    str: lambda value: value,
    int: lambda value: value if abs(value) < 2**63 else {"int": hex(value)},  # Python reads no 5,000 decimal digits
    float: lambda value: {"float": value.hex()},
    complex: lambda value: {"complex": [value.real.hex(), value.imag.hex()]},
    bytes: lambda value: {"bytes": base64.b64encode(value).decode()},
}
"""The JSON of values without parts."""


class DamagedFileError(ConfigError):
    """A file does not hold what was written to it."""


def dump_tree(tree: Any) -> bytes:
    """Store a pytree of tensors of any shape, NumPy arrays, numbers, texts, bytes and None.

    They may lie in lists, tuples, dictionaries, named tuples and dataclasses. Two places that hold the same tensor
    will hold the same one again; two tensors that share memory will not.

    Raises ConfigError that names the place and type of what cannot be stored.
    """
    writer = _TreeWriter()
    structure = json.dumps(writer.node(tree, ()))
    return save(writer.tensors, {_TREE: structure})


def load_tree(content: bytes, device: torch.device | str = "cpu") -> Any:
    """Restore what ``dump_tree`` stored, bit for bit; of another safetensors file, its tensors by name.

    Args:
        content: the file.
        device: where tensors go that were not on the CPU.

    Raises DamagedFileError if the content is no such file or a class that it names is not imported.
    """
    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        structure = header.get("__metadata__", {}).get(_TREE)
        if structure is None:
            return {name: value.clone() for name, value in tensors.items()}
        return _TreeReader(tensors, torch.device(device)).value(json.loads(structure))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise DamagedFileError(f"it holds no state: {reason}") from error


class _TreeWriter:
    """Turns a pytree into JSON and collects its tensors by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[int, str] = {}
        self._open: set[int] = set()
        self._kept: list[Any] = []  # so that no id is used again

    def node(self, value: Any, path: tuple[str, ...]) -> Any:
        plain = _PLAIN.get(type(value))
        if plain is not None:
            return plain(value)
        if type(value) in (Tensor, nn.Parameter):
            return self._tensor(value, path)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value, path)
        if id(value) in self._open:
            raise _refused(value, path, "which contains itself")
        self._open.add(id(value))
        try:
            return self._parts(value, path)
        finally:
            self._open.remove(id(value))

    def _parts(self, value: Any, path: tuple[str, ...]) -> Any:
        for kind, type_ in _MAPPINGS.items():
            if type(value) is type_:
                return {kind: [[self.node(k, (*path, "key")), self.node(v, (*path, str(k)))] for k, v in value.items()]}
        for kind, type_ in _SEQUENCES.items():
            if type(value) is type_:
                return {kind: [self.node(part, (*path, str(number))) for number, part in enumerate(value)]}
        if type(value) is deque:
            parts = [self.node(part, (*path, str(number))) for number, part in enumerate(value)]
            return {"deque": parts, "maxlen": value.maxlen}
        names = _field_names(type(value))
        if names is None:
            raise _refused(value, path)
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        if _find_class(name) is not type(value):
            raise _refused(value, path, "whose class is not found under its name")
        return {"class": name, "fields": {n: self.node(getattr(value, n), (*path, n)) for n in names}}

    def _tensor(self, value: Tensor, path: tuple[str, ...]) -> Any:
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            raise _refused(value, path, f"of the layout {value.layout}, on the device {value.device}")
        if id(value) not in self._names:
            plain = value.detach().resolve_conj().resolve_neg()
            plain = torch.view_as_real(plain) if plain.is_complex() else plain
            if plain.dtype not in _STORED_AS_THEY_ARE:
                raise _refused(value, path, f"of the type {value.dtype}")
            self._names[id(value)] = self._add(plain, path)
            self._kept.append(value)
        node: dict[str, Any] = {"tensor": self._names[id(value)]}
        if value.is_complex():
            node["complex"] = True
        if value.device.type != "cpu":
            node["on_device"] = True
        return node

    def _array(self, value: np.ndarray[Any, Any] | np.generic, path: tuple[str, ...]) -> Any:
        if value.dtype.kind not in "biufc":
            raise _refused(value, path, f"of the type {value.dtype}")
        content = np.frombuffer(bytearray(value.tobytes()), np.uint8)  # in C order; torch lacks some of NumPy's types
        node = {"array": self._add(torch.from_numpy(content), path), "dtype": value.dtype.str, "shape": value.shape}
        return node | ({"scalar": True} if isinstance(value, np.generic) else {})

    def _add(self, value: Tensor, path: tuple[str, ...]) -> str:
        name = base = "/".join(path).encode("utf-8", "backslashreplace").decode() or "value"
        number = 1
        while name in self.tensors or name == "__metadata__":
            number += 1
            name = f"{base}~{number}"
        copy = torch.empty(value.shape, dtype=value.dtype)  # tensors in a file may not share memory
        self.tensors[name] = copy.copy_(value)
        return name


class _TreeReader:
    """Builds a pytree from JSON and named tensors."""

    def __init__(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        self._tensors = tensors
        self._device = device
        self._read: dict[str, Tensor] = {}

    def value(self, node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        (kind, content), *_ = node.items()
        if kind in _MAPPINGS:
            return _MAPPINGS[kind]((self.value(key), self.value(value)) for key, value in content)
        if kind in _SEQUENCES:
            return _SEQUENCES[kind](self.value(part) for part in content)
        return getattr(self, f"_{kind}")(content, **{name: node[name] for name in node if name != kind})

    def _int(self, text: str) -> int:
        return int(text, 16)

    def _float(self, text: str) -> float:
        return float.fromhex(text)

    def _complex(self, parts: list[str]) -> complex:
        return complex(*map(float.fromhex, parts))

    def _bytes(self, text: str) -> bytes:
        return base64.b64decode(text, validate=True)

    def _deque(self, parts: list[Any], maxlen: int | None) -> deque[Any]:
        return deque(map(self.value, parts), maxlen)

    def _tensor(self, name: str, complex: bool = False, on_device: bool = False) -> Tensor:
        if name not in self._read:
            value = self._tensors[name].clone()  # aligned as torch aligns its own, which kernels may depend on
            value = torch.view_as_complex(value) if complex else value
            self._read[name] = value.to(self._device) if on_device else value
        return self._read[name]

    def _array(self, name: str, dtype: str, shape: list[int], scalar: bool = False) -> Any:
        if np.dtype(dtype).kind not in "biufc":
            raise ValueError(f"arrays of the type {dtype!r} are not stored")
        array = np.frombuffer(self._tensors[name].numpy().tobytes(), dtype).reshape(shape)
        return array[()] if scalar else array.copy()

    def _class(self, name: str, fields: dict[str, Any]) -> Any:
        type_ = _find_class(name)
        if type_ is None or _field_names(type_) != list(fields):
            raise ValueError(f"there is no class '{name}' with the fields {', '.join(fields)}")
        values = {field: self.value(node) for field, node in fields.items()}
        if issubclass(type_, tuple):
            return tuple.__new__(type_, values.values())
        instance = object.__new__(type_)  # a constructor of a plugin's might do anything
        for field, value in values.items():
            object.__setattr__(instance, field, value)
        return instance


def _field_names(type_: type) -> list[str] | None:
    """The fields of a named tuple or a dataclass; None for another class."""
    if dataclasses.is_dataclass(type_):
        return [field.name for field in dataclasses.fields(type_)]
    if issubclass(type_, tuple) and type_.__bases__ == (tuple,) and hasattr(type_, "_fields"):
        return list(type_._fields)
    return None


def _find_class(name: str) -> type | None:
    """The class of a name ``module:Outer.Inner`` among the imported modules, if it is one that can be stored."""
    module, _, path = name.partition(":")
    value: Any = sys.modules.get(module)
    for part in path.split("."):
        value = getattr(value, part, None)
    return value if isinstance(value, type) and _field_names(value) is not None else None


def _refused(value: Any, path: tuple[str, ...], why: str = "") -> ConfigError:
    place = "/".join(path) or "the state"
    kind = f"a {type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")
    return ConfigError(
        f"'{place}' cannot be stored in a checkpoint: it is {kind}{why and f' {why}'}. Keep tensors, NumPy arrays, "
        "numbers and texts there, in lists, tuples, dictionaries, named tuples or dataclasses."
    )
