"""Plans runs: from a user's request to specs in which every value is filled in, or to every problem at once."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mamlbench.api import Algorithm, Backbone, Dataset
from mamlbench.engine import make_engine
from mamlbench.errors import ConfigError, ConfigProblem
from mamlbench.plugin import Plugins
from mamlbench.run_spec import (
    MOST_EPISODES_UNTIL,
    Component,
    Preset,
    Protocol,
    RunRequest,
    RunSpec,
    Setting,
    explain,
)
from mamlbench.run_spec.bounds import MOST_SEED
from mamlbench.runner.choose_metrics import metric_names
from mamlbench.runner.component_options import complete_component, split_options
from mamlbench.runner.device import resolve_device
from mamlbench.runner.disturbed_episodes import refuse_label_noise
from mamlbench.runner.find_preset import find_preset
from mamlbench.runner.frozen.encoded_dataset import backbone_of_weights, hash_of_weights
from mamlbench.runner.initial_model import hash_of_initial_model
from mamlbench.runner.plan_training import plan_training
from mamlbench.runner.sized_tasks import refuse_sizes

DEFAULT_SAMPLER = "fresh"
"""The sampler if neither a user nor a preset names one."""


def make_request(**values: Any) -> RunRequest:
    """Build a request from fields of RunRequest. Raises ConfigError with every problem."""
    try:
        return RunRequest.model_validate(values)
    except ValidationError as error:
        raise ConfigError(*explain(error, RunRequest.model_fields, "the run")) from error


def plan(request: RunRequest, plugins: Plugins) -> list[RunSpec]:
    """Return one spec per algorithm and seed, in that order.

    Raises ConfigError for every unknown name and invalid option, with a suggestion and the key of the setting
    (``errors.ConfigProblem``), such as ``dataset`` or ``options.backbone.width``.
    """
    problems: list[str] = []
    specs: list[RunSpec] = []
    device = _collect(problems, lambda: resolve_device(request.device), "device")
    if request.seed + request.seeds - 1 > MOST_SEED:
        problems.append(ConfigProblem(f"The last training seed must not be larger than {MOST_SEED}.", "seed"))
    if request.engine != "auto":
        _collect(problems, lambda: make_engine(request.engine), "engine")
    for name in dict.fromkeys(request.algorithms):
        spec = _collect(problems, lambda name=name: _plan_one(request, name, plugins, str(device)))
        if spec is not None:
            specs += [spec.model_copy(update={"seed": request.seed + number}) for number in range(request.seeds)]
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return specs


def _collect(problems: list[str], action: Any, key: str = "") -> Any:
    try:
        return action()
    except ConfigError as error:
        problems += [ConfigProblem(text, key) for text in error.problems]
        return None


def _plan_one(request: RunRequest, name: str, plugins: Plugins, device: str) -> RunSpec:
    problems: list[str] = []
    load = plugins.registry.load
    algorithm: type[Algorithm] | None = _collect(problems, lambda: load("algorithm", name), "algorithm")
    dataset: type[Dataset] | None = _collect(problems, lambda: load("dataset", request.dataset), "dataset")
    if algorithm is None or dataset is None:  # presets, protocol and default network depend on both
        _collect(problems, lambda: load("sampler", request.sampler or DEFAULT_SAMPLER), "sampler")
        if request.backbone is not None:
            _collect(problems, lambda: load("backbone", request.backbone), "backbone")
        raise ConfigError(*problems)
    if dataset.kind not in algorithm.kinds:
        kinds = " or ".join(algorithm.kinds)
        text = f"Algorithm '{name}' is a method of {kinds}, and the tasks of '{request.dataset}' are {dataset.kind}."
        problems.append(ConfigProblem(text, "algorithm"))
    setting = _collect(problems, lambda: _setting(request, dataset.kind))
    preset = setting and _collect(problems, lambda: find_preset(algorithm, name, request.preset, setting))
    if preset is None:
        raise ConfigError(*problems)
    components = _components(request, preset, {"algorithm": name, "dataset": request.dataset}, plugins, problems)
    backbone = components.get("backbone")
    weights = None if backbone is None else _collect(problems, lambda: _weights(backbone, plugins), "backbone")
    request = _with_weights(request, weights)
    protocol = _collect(problems, lambda: _protocol(request, preset, setting, dataset.kind, plugins))
    training = protocol and _collect(
        problems, lambda: plan_training(request, preset, protocol, algorithm, name=name, kind=dataset.kind)
    )
    if problems:
        raise ConfigError(*problems)
    path = request.init
    return RunSpec(
        **components,
        protocol=protocol,
        training=training,
        preset=preset.name,
        seed=request.seed,
        device=device,
        engine=request.engine,
        precision=request.precision,
        deterministic=request.deterministic,
        tuning_trials=_tuning_trials(preset, request),
        mistake=preset.mistake,
        init="" if path is None else str(path),
        label=request.label,
        weights_sha256="" if weights is None else weights[1],
        init_sha256="" if path is None else hash_of_initial_model(path, components["backbone"]),
    )


def _weights(component: Component, plugins: Plugins) -> tuple[Backbone, str] | None:
    """The backbone and the SHA-256 of its weights if they are in a file, else None."""
    backbone = backbone_of_weights(component, plugins)
    return None if backbone is None else (backbone, hash_of_weights(backbone))


def _with_weights(request: RunRequest, weights: tuple[Backbone, str] | None) -> RunRequest:
    """Fill in what a user leaves open if weights are in a file: nothing is trained.

    Of features that were computed once, no query can change another's: one mode is enough.
    """
    if weights is None:
        return request
    defaults: dict[str, Any] = {"iterations": 0, **({"modes": ("inductive",)} if weights[0].frozen else {})}
    return request.model_copy(
        update={name: value for name, value in defaults.items() if getattr(request, name) is None}
    )


def _tuning_trials(preset: Preset, request: RunRequest) -> int | None:
    """How many trials the options were chosen from; None if the request has some of its own."""
    has_own = any("." not in name for name in request.options)
    return None if preset.tuned is None or has_own else preset.tuned.trials


def _setting(request: RunRequest, kind: str) -> Setting:
    """What presets depend on. Raises ConfigError for tasks of one class."""
    has_ways = kind == "classification"
    ways = request.ways or (5 if has_ways else 1)
    shots = request.shots or (1 if has_ways else 5)
    if ways < 2 and has_ways:
        text = "A task of one class leaves nothing to distinguish: --ways must be 2 or more."
        raise ConfigError(ConfigProblem(text, "ways"))
    return Setting(request.dataset, ways, shots)


def _components(
    request: RunRequest, preset: Preset, names: dict[str, str], plugins: Plugins, problems: list[str]
) -> dict[str, Component]:
    """The components of a run by kind, with every option; those that are unknown or wrong become problems."""
    load = plugins.registry.load
    default_backbone = preset.backbone or load("dataset", request.dataset).default_backbone
    default_sampler = preset.sampler or DEFAULT_SAMPLER
    names |= {"backbone": request.backbone or default_backbone, "sampler": request.sampler or default_sampler}
    preset_options = {"algorithm": preset.options, "dataset": preset.dataset_options}
    if names["backbone"] == default_backbone:  # a preset's backbone options belong to the preset's backbone
        preset_options["backbone"] = preset.backbone_options
    if names["sampler"] == default_sampler:
        preset_options["sampler"] = preset.sampler_options
    options = split_options(request.options)
    components = {}
    for kind, name in names.items():
        plugin = _collect(problems, lambda kind=kind, name=name: load(kind, name), kind)
        if plugin is not None:
            part = (kind, plugin, name, preset_options.get(kind, {}), options[kind])
            components[kind] = _collect(problems, lambda part=part: complete_component(*part))
    return components


def _protocol(request: RunRequest, preset: Preset, setting: Setting, kind: str, plugins: Plugins) -> Protocol:
    settings = request.model_dump(
        include={
            *("queries", "test_episodes", "validation_episodes", "episode_seed", "modes"),
            *("test_sampling", "test_until", "label_noise", "corrupt", "imbalance"),
        },
        exclude_none=True,
    )
    if request.test_until is not None:
        settings.setdefault("test_episodes", MOST_EPISODES_UNTIL)
    settings |= {"least_ways": request.least_ways, "least_shots": request.least_shots}
    settings["metrics"] = metric_names(request.metrics or preset.protocol.get("metrics", ()), kind, plugins)
    settings["keep_predictions"] = request.keep_predictions
    try:
        protocol = Protocol(**{**preset.protocol, **settings, "ways": setting.ways, "shots": setting.shots})
    except ValidationError as error:
        raise ConfigError(*explain(error, Protocol.model_fields, "the protocol")) from error
    refuse_label_noise(protocol, kind)
    refuse_sizes(protocol, kind)
    return protocol
