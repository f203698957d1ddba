"""From what a user asks for to run specs in which every value is filled in; every problem is told at once."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mamlbench.api import Algorithm
from mamlbench.engine import make_engine
from mamlbench.errors import ConfigError, ConfigProblem, did_you_mean
from mamlbench.plugin import Plugins
from mamlbench.run_spec import (
    Preset,
    Protocol,
    RunRequest,
    RunSpec,
    Setting,
    choose_preset,
    explain,
)
from mamlbench.runner.choose_metrics import metric_names
from mamlbench.runner.component_options import complete_component, split_options
from mamlbench.runner.device import resolve_device
from mamlbench.runner.plan_training import plan_training


def request(**values: Any) -> RunRequest:
    """Build a request from fields of RunRequest. Raises ConfigError with every problem."""
    try:
        return RunRequest.model_validate(values)
    except ValidationError as error:
        raise ConfigError(*explain(error, RunRequest.model_fields, "the run")) from error


def plan(request: RunRequest, plugins: Plugins) -> list[RunSpec]:
    """Return one spec per algorithm and seed, in that order.

    Raises ConfigError that names every unknown name and every bad option, each with a suggestion and the key of what
    was given (``errors.Problem``), such as ``dataset`` or ``options.backbone.width``.
    """
    problems: list[str] = []
    specs: list[RunSpec] = []
    device = _collect(problems, lambda: resolve_device(request.device), "device")
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
    dataset = _collect(problems, lambda: load("dataset", request.dataset), "dataset")
    sampler = _collect(problems, lambda: load("sampler", request.sampler), "sampler")
    if algorithm is None or dataset is None:  # without them nothing is known of what else there could be
        if request.backbone is not None:
            _collect(problems, lambda: load("backbone", request.backbone), "backbone")
        raise ConfigError(*problems)

    regression = dataset.kind == "regression"
    ways = request.ways or (1 if regression else 5)
    shots = request.shots or (5 if regression else 1)
    if ways < 2 and not regression:
        problems.append(
            ConfigProblem(
                "A task of one class leaves nothing to tell apart: ask for two ways or more (--ways).", "ways"
            )
        )
    setting = Setting(request.dataset, ways, shots)
    preset = _collect(problems, lambda: _preset(algorithm, name, request.preset, setting))
    if preset is None:
        raise ConfigError(*problems)
    backbone_name = request.backbone or preset.backbone or dataset.default_backbone
    backbone = _collect(problems, lambda: load("backbone", backbone_name), "backbone")
    options = split_options(request.options)
    own_backbone = request.backbone in (None, preset.backbone or dataset.default_backbone)
    layers = {
        "algorithm": (algorithm, name, preset.options, options["algorithm"]),
        "dataset": (dataset, request.dataset, preset.dataset_options, options["dataset"]),
        # a preset's backbone options belong to the preset's backbone
        "backbone": (backbone, backbone_name, preset.backbone_options if own_backbone else {}, options["backbone"]),
        "sampler": (sampler, request.sampler, {}, options["sampler"]),
    }
    components = {
        kind: _collect(problems, lambda kind=kind, layer=layer: complete_component(kind, *layer))
        for kind, layer in layers.items()
        if layer[0] is not None
    }
    protocol = _collect(problems, lambda: _protocol(request, preset, setting, dataset.kind, plugins))
    training = protocol and _collect(
        problems, lambda: plan_training(request, preset, protocol, algorithm, name=name, kind=dataset.kind)
    )
    if problems:
        raise ConfigError(*problems)
    return RunSpec(
        **components,
        protocol=protocol,
        training=training,
        preset=preset.name,
        seed=request.seed,
        device=device,
        engine=request.engine,
        precision=request.precision,
    )


def _preset(algorithm: type[Algorithm], name: str, wanted: str, setting: Setting) -> Preset:
    preset = choose_preset(algorithm.presets, wanted, setting)
    if preset is not None:
        return preset
    names = sorted({each.name for each in algorithm.presets})
    if wanted in names:
        where = f"{setting.dataset} {setting.ways}-way {setting.shots}-shot"
        raise ConfigError(ConfigProblem(f"Algorithm '{name}' has no preset '{wanted}' for {where}.", "preset"))
    if wanted == "quick":  # a plugin need not bring presets: its options have defaults
        return Preset(name="quick", iterations=500, meta_batch_size=32, source="defaults of the harness")
    near = did_you_mean(wanted, names or ["quick"])
    raise ConfigError(ConfigProblem(f"Algorithm '{name}' has no preset '{wanted}'.{near}", "preset"))


def _protocol(request: RunRequest, preset: Preset, setting: Setting, kind: str, plugins: Plugins) -> Protocol:
    asked = request.model_dump(
        include={"queries", "test_episodes", "validation_episodes", "episode_seed", "modes"}, exclude_none=True
    )
    asked["metrics"] = metric_names(request.metrics or preset.protocol.get("metrics", ()), kind, plugins)
    asked["keep_predictions"] = request.keep_predictions
    try:
        return Protocol(**{**preset.protocol, **asked, "ways": setting.ways, "shots": setting.shots})
    except ValidationError as error:
        raise ConfigError(*explain(error, Protocol.model_fields, "the protocol")) from error
