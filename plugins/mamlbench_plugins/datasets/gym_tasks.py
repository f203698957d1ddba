"""``gym:NAME``: tasks from one environment of Gymnasium, which differ in numbers such as a mass or a goal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from typing import Any, ClassVar, Self

from pydantic import Field

from mamlbench.api import ConfigError, DataPaths, DatasetInfo, LocalCopy, NameFamily, Objective, Options
from mamlbench.errors import MissingDependencyError, did_you_mean, one_line
from mamlbench_plugins.datasets.environment_tasks import EnvironmentTasks
from mamlbench_plugins.datasets.environments import Return
from mamlbench_plugins.datasets.gym_environments import GymEnvironment, Ranges, gym_environment

STEPS = 200
"""Most steps of a trajectory in an environment without a limit of its own."""
_NUMBER = r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?"
_RANGE = re.compile(rf"(?P<name>[A-Za-z_]\w*)[=:](?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})")


class GymOptions(Options):
    """Options of Gymnasium's environments."""

    vary: str = Field(
        "", description="attributes that tasks differ in, with ranges: 'length=0.25..1,masspole=0.05..0.5'"
    )
    arguments: str = Field("", description="what the environment is made with: 'sutton_barto_reward=True'")
    horizon: int | None = Field(None, ge=1, le=10_000, description="most steps of a trajectory; none: its own limit")


class GymTasks(EnvironmentTasks, NameFamily):
    """An environment of Gymnasium by its name there, such as Pendulum-v1, in tasks of different physics or goals.

    What tasks differ in are attributes of the environment (``vary``), set before every reset. A subclass can say it in
    code: ``ranges``, and ``set_task`` for numbers that are no attribute.
    """

    info = DatasetInfo(
        title="An environment of Gymnasium",
        license="computed (no data)",
        citation="Towers et al., Gymnasium: A Standard Interface for Reinforcement Learning Environments, 2024",
        homepage="https://gymnasium.farama.org",
    )
    Options: ClassVar[type[Options]] = GymOptions
    options: GymOptions
    ranges: ClassVar[Ranges] = {}

    @classmethod
    def of(cls, member: str) -> type[Self]:
        if find_spec("gymnasium") is None:
            raise MissingDependencyError("it needs the library gymnasium: pip install 'mamlbench[gym]'.")
        import gymnasium

        # what stands before a colon is a module that registers its environments when Gymnasium imports it
        if ":" not in member and member not in gymnasium.registry:
            hint = did_you_mean(member, gymnasium.registry.keys())
            raise ConfigError(f"Gymnasium has no environment '{one_line(member)}'.{hint if 'mean' in hint else ''}")
        return super().of(member)

    @classmethod
    def find_local_copy(cls, options: Any, paths: DataPaths) -> LocalCopy:
        # without ranges there are no tasks yet, and listing data sets should not compute any
        return LocalCopy("computed", amount=cls.amount, prepared=bool(options.vary or cls.ranges))

    def set_task(self, environment: Any, values: Mapping[str, float]) -> None:
        """Give an environment, wrapped as Gymnasium makes it, the numbers of a task; it is reset afterwards."""
        for name, value in values.items():
            setattr(environment.unwrapped, name, value)

    def environment(self) -> GymEnvironment:
        return self._environment

    def objective(self, ways: int) -> Objective:
        return Return(self._environment)

    @cached_property
    def _environment(self) -> GymEnvironment:
        made = self._make()
        limit = made.spec.max_episode_steps if made.spec is not None else None
        horizon = self.options.horizon or limit or STEPS
        ranges = self._ranges(made)
        name = f"{self.member}({self.options.arguments}) {type(self).__name__}"
        return gym_environment(self._make, self.set_task, ranges, horizon=horizon, name=name)

    def _make(self) -> Any:
        import gymnasium

        arguments = _arguments(self.options.arguments)
        if self.options.horizon is not None:
            arguments["max_episode_steps"] = self.options.horizon
        try:
            return gymnasium.make(self.member, **arguments)
        except (gymnasium.error.Error, TypeError, ImportError) as error:
            raise ConfigError(f"Gymnasium cannot make {self.member}: {one_line(str(error))}") from error

    def _ranges(self, made: Any) -> Ranges:
        if not self.options.vary:
            if self.ranges:
                return self.ranges
            raise ConfigError(
                f"Tasks of {self.member} would all be the same: say what varies, as in -o dataset.vary=NAME=0.5..2 "
                f"with NAME one of {', '.join(_attributes(made)) or 'the attributes of a class of your own'}."
            )
        ranges = parse_ranges(self.options.vary)
        if type(self).set_task is GymTasks.set_task:
            for name in ranges:
                if name not in _attributes(made):
                    hint = did_you_mean(name, _attributes(made))
                    raise ConfigError(f"{self.member} has no number '{name}' that could vary.{hint}")
        return ranges


def parse_ranges(text: str) -> Ranges:
    """Read ``'length=0.25..1,masspole=0.05..0.5'``. Raises ConfigError for anything else, and for empty ranges."""
    ranges = {}
    for part in filter(None, re.split(r"[,\s]+", text)):
        match = _RANGE.fullmatch(part)
        if match is None or not float(match["low"]) < float(match["high"]):
            raise ConfigError(f"'{one_line(part)}' is no range of an attribute: write NAME=0.5..2.")
        ranges[match["name"]] = float(match["low"]), float(match["high"])
    return ranges


def _attributes(environment: Any) -> list[str]:
    """Names of an environment's numbers that can be set."""
    own = vars(environment.unwrapped)
    return sorted(name for name, value in own.items() if type(value) in {int, float} and not name.startswith("_"))


def _arguments(text: str) -> dict[str, Any]:
    """Read ``'name=value,...'``; a value is a number, True, False, or text."""
    arguments: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"'{one_line(part)}' is no argument of an environment: write NAME=VALUE.")
        arguments[name.strip()] = _value(value.strip())
    return arguments


def _value(text: str) -> Any:
    if text in {"True", "False"}:
        return text == "True"
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
