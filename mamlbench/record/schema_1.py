"""Upgrades records of schema version 1 to version 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamlbench.run_spec import RunSpec

_OPTIONS: dict[str, dict[str, dict[str, str | None]]] = {
    "algorithm": {
        "reptile": {"train_batch": "inner_batch_size", "test_batch": "test_batch_size", "outer_step": "outer_lr"},
        "l2l-reptile": {"train_batch": "inner_batch_size", "test_batch": "test_batch_size", "outer_step": "outer_lr"},
        "imaml": {"strength": "prox_strength"},
        "maml++": {"multi_step": "multi_step_fraction", "first_order": "first_order_fraction"},
    },
    "backbone": {
        "conv4-strided": {"readout": "pooling"},
        "conv4-pooled": {"pooling": None, "readout": "pooling"},  # in which order to compute the same is no option
    },
    "dataset": {
        "cifar-fs": {"normalise": "normalize"},
        "fc100": {"normalise": "normalize"},
        "folder": {"side": "image_size", "colour": "color", "normalise": "normalize"},
        "miniimagenet": {"normalise": "normalize"},
        "omniglot": {"ink": "polarity"},
    },
    "sampler": {},
}
"""Options that were renamed: kind of component, name of the plugin, option then, option now; None: there is none."""


def upgrade(document: dict[str, Any]) -> dict[str, Any]:
    """Rename the fields and options of a version 1 record that have other names in version 2.

    The document is changed and returned. New fields have their defaults (precision float32).

    Raises KeyError, TypeError or AttributeError if the document is no record, ValidationError if its spec is none.
    """
    spec = document["spec"]
    for kind, plugins in _OPTIONS.items():
        component = spec[kind]
        component["options"] = _renamed(component["options"], plugins.get(component["name"], {}))
    spec["training"] = _renamed(spec["training"], {"meta_batch": "meta_batch_size"})
    spec["training"]["ways"] = spec["protocol"]["ways"]
    spec["engine"] = _engine_name(spec["engine"])
    if document.get("data"):
        document["data"] = _renamed(document["data"], {"licence": "license"})
    if document.get("engine"):
        for entry in (document["engine"], *document["engine"].get("trials", ())):
            entry["name"] = _engine_name(entry["name"])
    metric = _metric_name(document)
    if document.get("test"):
        document["test"] = _with_metrics(document["test"])
    for point in document.get("curve", ()):
        point["validation"] = {} if point.get("validation") is None else {metric: point["validation"]}
    document["spec_hash"] = RunSpec.model_validate(spec).hash
    document["schema_version"] = 2
    return document


def _metric_name(document: dict[str, Any]) -> str:
    """The only metric; a run that was never tested does not name it, but tasks of one way are regression."""
    if document.get("test"):
        return str(document["test"]["metric"])
    return "mean squared error" if document["spec"]["protocol"]["ways"] == 1 else "accuracy"


def _with_metrics(test: dict[str, Any]) -> dict[str, Any]:
    """An evaluation of one metric as one of a mapping of metrics."""
    parts = ("unit", "higher_is_better", "modes", "score_after_step")
    result = {part: test[part] for part in parts}
    rest = {name: value for name, value in test.items() if name not in (*parts, "metric")}
    return rest | {"metrics": {test["metric"]: result}}


def _renamed(values: dict[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
    new_names = {name: names.get(name, name) for name in values}
    return {new: values[name] for name, new in new_names.items() if new is not None}


def _engine_name(name: str) -> str:
    return name.replace("+recomputed", "+remat")
