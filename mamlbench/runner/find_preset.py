"""Finds the preset that a request names: one of the method, or one in a file."""

from __future__ import annotations

from pathlib import Path

from mamlbench.api import Algorithm
from mamlbench.errors import ConfigError, ConfigProblem, did_you_mean
from mamlbench.run_spec import Preset, Setting, choose_preset
from mamlbench.run_spec.preset_file import read_preset_file, split_preset_name

SMOKE = "smoke"
"""Preset that every method has, unless it has one of this name itself."""
SMOKE_SHARE, SMOKE_VALIDATIONS, SMOKE_EPISODES = 0.1, 2, 100


def find_preset(algorithm: type[Algorithm], name: str, asked: str, setting: Setting) -> Preset:
    """Return the most specific preset for the data set and task.

    Args:
        algorithm: the method's class.
        name: its registered name.
        asked: name of one of the method's presets, ``FILE.toml`` or ``FILE.toml:NAME``.
        setting: data set and task.

    Raises ConfigError, with a suggestion, if there is none.
    """
    file, preset_name = split_preset_name(asked)
    if file is not None:
        return _from_file(file, preset_name, name, setting)
    preset = choose_preset(algorithm.presets, preset_name, setting)
    if preset is not None:
        return preset
    if preset_name == SMOKE:
        return _smoke(find_preset(algorithm, name, "quick", setting))
    names = sorted({preset.name for preset in algorithm.presets})
    if preset_name in names:
        raise _no_match(f"Algorithm '{name}' has no preset '{preset_name}'", setting)
    if preset_name == "quick":  # a plugin need not have presets: its options have defaults
        return Preset(name="quick", iterations=500, meta_batch_size=32, source="defaults of the harness")
    near = did_you_mean(preset_name, names or ["quick"])
    raise ConfigError(ConfigProblem(f"Algorithm '{name}' has no preset '{preset_name}'.{near}", "preset"))


def _smoke(quick: Preset) -> Preset:
    """A part of the quick preset's training and test, to see that everything works."""
    return quick.model_copy(
        update={
            "name": SMOKE,
            "source": f"{SMOKE_SHARE:.0%} of the iterations of the quick preset, to see that everything works",
            "iterations": max(1, round(SMOKE_SHARE * quick.iterations)),
            "validations": SMOKE_VALIDATIONS,
            "protocol": {**quick.protocol, "test_episodes": SMOKE_EPISODES, "validation_episodes": SMOKE_EPISODES},
        }
    )


def _from_file(file: Path, preset_name: str, algorithm: str, setting: Setting) -> Preset:
    try:
        presets = read_preset_file(file, algorithm)
    except ConfigError as error:
        raise ConfigError(*(ConfigProblem(problem, "preset") for problem in error.problems)) from error
    chosen_name = preset_name or presets[0].name
    preset = choose_preset(presets, chosen_name, setting)
    if preset is not None:
        return preset
    names = [preset.name for preset in presets]
    if chosen_name in names:
        raise _no_match(f"'{file}' has no preset '{chosen_name}' of algorithm '{algorithm}'", setting)
    near = did_you_mean(chosen_name, names)
    text = f"'{file}' has no preset '{chosen_name}' for algorithm '{algorithm}'.{near}"
    raise ConfigError(ConfigProblem(text, "preset"))


def _no_match(complaint: str, setting: Setting) -> ConfigError:
    ways = f"{setting.ways}-way " if setting.ways > 1 else ""
    return ConfigError(ConfigProblem(f"{complaint} for {setting.dataset} {ways}{setting.shots}-shot.", "preset"))
