"""Whether a network has seen test classes or images: in this run, in a model's, or before its weights came here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from mamlbench.api import Backbone, TaskSplit, seeded
from mamlbench.errors import ConfigError, summarize_names
from mamlbench.plugin import Plugins
from mamlbench.record import SeenTestData
from mamlbench.run_spec import RunSpec
from mamlbench.runner.component_options import stored_options
from mamlbench.runner.datasets.seen_test_data import TrainedOn, combined, seen_by_declaration, seen_by_training
from mamlbench.runner.initial_model import load_initial_model


def seen_by_network(
    spec: RunSpec, plugins: Plugins, test: TaskSplit, dataset: str, trained: TrainedOn | str
) -> SeenTestData:
    """Say whether the network of a spec has seen classes or images of a test split.

    Args:
        spec: the run or test.
        plugins: the loaded plugins.
        test: what it is tested on.
        dataset: registered name of the data set that this is from; empty if it is from none.
        trained: what the network was trained on here, or why that is unknown.
    """
    in_training = combined([seen_by_training(trained, test, dataset), *_seen_by_initial_models(spec, test, dataset)])
    plugin: type[Backbone] = plugins.registry.load("backbone", spec.backbone.name)
    make_backbone = partial(plugin, stored_options("backbone", plugin, spec.backbone))
    foreign = weights_from_elsewhere(make_backbone, test.input_shape, spec.seed)
    if not foreign:
        return in_training
    names = getattr(test, "class_names", ())
    declared = make_backbone().seen_classes(dataset, names)
    if declared is not None:
        return combined([in_training, seen_by_declaration(declared, names)])
    reason = (
        f"backbone '{spec.backbone.name}' has weights that do not come from the seed ({summarize_names(foreign, 3)}) "
        "and does not say what they were trained on"
    )
    return combined([in_training, SeenTestData(answer="unknown", reasons=[reason])])


def _seen_by_initial_models(spec: RunSpec, test: TaskSplit, dataset: str) -> list[SeenTestData]:
    """The answer for the model that training started from, for the one that this started from, and so on."""
    answers: list[SeenTestData] = []
    while spec.init_sha256:
        try:
            initial = load_initial_model(spec)
        except ConfigError as error:
            return [*answers, SeenTestData(answer="unknown", reasons=[f"{error}".rstrip(".")])]
        answers.append(seen_by_training(initial.trained_on, test, dataset))
        spec = initial.spec
    return answers


def weights_from_elsewhere(make_backbone: Callable[[], Backbone], input_shape: tuple[int, ...], seed: int) -> list[str]:
    """Name the parameters of a network's features that are the same whatever the seed, and not constant.

    Initial parameters are drawn from the seed, or constant as biases are; what is neither was read from somewhere.

    Args:
        make_backbone: makes the backbone.
        input_shape: of the examples.
        seed: of the run.
    """
    first, second = (_parameters(make_backbone(), input_shape, number) for number in (seed, seed ^ 1))
    return [name for name, value in first.items() if _varies(value) and _same(value, second.get(name))]


def _parameters(backbone: Backbone, input_shape: tuple[int, ...], seed: int) -> dict[str, Tensor]:
    with seeded("network", seed):
        features, _ = backbone.features(input_shape)
    return {name: value.detach() for name, value in features.named_parameters() if not is_lazy(value)}


def _varies(value: Tensor) -> bool:
    return value.numel() > 1 and bool((value != value.flatten()[0]).any())


def _same(value: Tensor, other: Tensor | None) -> bool:
    return other is not None and torch.equal(value, other)
