"""Whether a network has seen test classes or images: in this run, in a model's, or before its weights came here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from mamlbench.api import Backbone, TaskSplit, seeded
from mamlbench.data.encoded_split import images_of
from mamlbench.errors import ConfigError, summarize_names
from mamlbench.plugin import Plugins
from mamlbench.record import SeenTestData
from mamlbench.run_spec import RunSpec
from mamlbench.runner.checkpoints import load_model
from mamlbench.runner.component_options import stored_options
from mamlbench.runner.datasets.seen_test_data import TrainedOn, combined, seen_by_declaration, seen_by_training
from mamlbench.runner.frozen.encoded_dataset import backbone_of_weights
from mamlbench.runner.initial_model import load_initial_model


def seen_by_network(
    spec: RunSpec,
    plugins: Plugins,
    test: TaskSplit,
    dataset: str,
    trained: TrainedOn | str,
    *,
    input_shape: tuple[int, ...] = (),
) -> SeenTestData:
    """Say whether the network of a spec has seen classes or images of a test split.

    Args:
        spec: the run or test.
        plugins: the loaded plugins.
        test: what it is tested on.
        dataset: registered name of the data set that this is from; empty if it is from none.
        trained: what the network was trained on here, or why that is unknown.
        input_shape: of what the network takes; empty: that of the test split.
    """
    in_training = combined([seen_by_training(trained, test, dataset), *_seen_by_initial_models(spec, test, dataset)])
    encoder = backbone_of_weights(spec.backbone, plugins)
    if encoder is not None and encoder.frozen:
        seen = _seen_by_encoder(encoder, spec, plugins, test, dataset)
        return combined([seen, in_training]) if spec.training.iterations else seen
    plugin: type[Backbone] = plugins.registry.load("backbone", spec.backbone.name)
    make_backbone = partial(plugin, stored_options("backbone", plugin, spec.backbone))
    foreign = weights_from_elsewhere(make_backbone, input_shape or test.input_shape, spec.seed)
    if not foreign:
        return in_training
    names = getattr(test, "class_names", ())
    which = f"has weights that do not come from the seed ({summarize_names(foreign, 3)}) and"
    return combined([in_training, _seen_by_weights(make_backbone(), spec.backbone.name, dataset, names, which)])


def _seen_by_weights(backbone: Backbone, name: str, dataset: str, classes: Sequence[str], which: str) -> SeenTestData:
    """The answer for weights from elsewhere; ``which`` they are is part of the reason if it is unknown."""
    declared = backbone.seen_classes(dataset, classes)
    if declared is not None:
        return seen_by_declaration(declared, classes)
    reason = f"backbone '{name}' {which} does not say what they were trained on"
    return SeenTestData(answer="unknown", reasons=[reason])


def _seen_by_encoder(encoder: Backbone, spec: RunSpec, plugins: Plugins, test: TaskSplit, dataset: str) -> SeenTestData:
    """The answer for a frozen encoder: a model of mamlbench knows what it was trained on."""
    if encoder.trained_model is None:
        names = getattr(test, "class_names", ())
        return _seen_by_weights(encoder, spec.backbone.name, dataset, names, "has weights from elsewhere and")
    model = load_model(encoder.trained_model)
    shape = () if isinstance(model.trained_on, str) else model.trained_on.data.input_shape
    return seen_by_network(model.spec, plugins, images_of(test), dataset, model.trained_on, input_shape=shape)


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
