"""Gymnasium's environments as families of tasks: repeated by their numbers, and the same in every engine."""

import json
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.func import vmap

from mamlbench.errors import ConfigError, MissingDependencyError
from mamlbench_plugins.datasets import gym_tasks
from mamlbench_plugins.datasets.gym_environments import GymContinuous, GymDiscrete, gym_environment
from mamlbench_plugins.datasets.gym_tasks import GymTasks, parse_ranges

gymnasium = pytest.importorskip("gymnasium")
KEYS = np.array([3, 4], np.uint64)
PENDULUM, CART = ("Pendulum-v1", "g=5..15,l=0.5..1.5"), ("CartPole-v1", "force_mag=-15..15")


def tasks(member, vary, **options):
    return GymTasks.of(member)(GymTasks.Options(vary=vary, **{"horizon": 12, **options}), None)


def policy(outputs):
    return lambda state: torch.stack([(number + 1) * state.sum(-1) / 5 for number in range(outputs)], -1)


def run(environment, x):
    return environment.run(policy(environment.outputs), torch.zeros(environment.spreads).double(), x)


@pytest.mark.parametrize(("member", "vary", "kind"), [(*PENDULUM, GymContinuous), (*CART, GymDiscrete)])
def test_trajectories_are_functions_of_their_numbers_in_any_batch(member, vary, kind):
    made = tasks(member, vary)
    environment = made.environment()
    assert isinstance(environment, kind)
    x = made.splits["test"].episodes(KEYS, 1, 3, 1).support.x.double()  # [T, n, example_size]
    whole = vmap(lambda x: run(environment, x))(x)
    for number in range(2):
        for together, alone in zip(whole, run(environment, x[number]), strict=True):
            torch.testing.assert_close(together[number], alone)
    last = run(environment, x[1, 2:])
    torch.testing.assert_close(last.rewards[0], whole.rewards[1, 2])
    assert whole.observations.shape == (2, 3, 12, environment.observation_size)
    assert len(torch.unique(whole.observations[:, :, 0], dim=1)) == 2  # each begins elsewhere


@pytest.mark.parametrize("member_and_vary", [PENDULUM, CART])
def test_a_trajectory_is_what_the_environment_itself_does(member_and_vary):
    made = tasks(*member_and_vary, horizon=30)
    environment = made.environment()
    x = made.splits["val"].episodes(KEYS, 1, 2, 1).support.x[0].double()
    task, noise = environment.parts(x)
    sampled = run(environment, x)
    plain = gymnasium.make(member_and_vary[0], max_episode_steps=30)
    for name, value in zip(parse_ranges(member_and_vary[1]), task[1].tolist(), strict=True):
        setattr(plain.unwrapped, name, value)
    observation, _ = plain.reset(seed=int(noise[1, -1, 0] * 2**24))
    for step in range(30):
        np.testing.assert_allclose(sampled.observations[1, step], observation, rtol=1e-6)
        observation, reward, terminated, truncated, _ = plain.step(
            environment.to_action(sampled.actions[1, step].numpy())
        )
        assert float(sampled.rewards[1, step]) == pytest.approx(float(reward))
        if terminated or truncated:
            break
    assert not sampled.rewards[1, step + 1 :].any() and not sampled.running[1, step + 1 :].any()


def test_a_policy_that_diverged_brings_no_number():
    environment = tasks(*PENDULUM).environment()
    x = torch.rand(2, environment.example_size).double()
    nothing = environment.run(lambda state: state[:, :1] * float("nan"), torch.zeros(1).double(), x)
    assert nothing.rewards[:, 0].isnan().all() and not nothing.running[:, 1:].any()


def test_families_that_differ_have_other_hashes():
    hashes = {tasks(*CART, **options).splits["test"].hash for options in ({}, {"horizon": 5})}
    hashes |= {tasks("CartPole-v1", "force_mag=-15..14").splits["test"].hash, tasks(*PENDULUM).splits["test"].hash}
    assert len(hashes) == 4


class Lengths(GymTasks):
    """Tasks differ in what code declares."""

    member = "CartPole-v1"
    ranges: ClassVar = {"half": (0.25, 1.0)}

    def set_task(self, environment, values):
        environment.unwrapped.length = values["half"]
        environment.unwrapped.polemass_length = environment.unwrapped.masspole * values["half"]


def test_a_subclass_says_in_code_what_varies():
    made = Lengths(Lengths.Options(horizon=4, arguments="sutton_barto_reward=True"), None)
    environment = made.environment()
    x = made.splits["test"].episodes(KEYS, 1, 1, 1).support.x[0].double()
    run(environment, x)
    cart = environment.pool[0].unwrapped
    assert cart.length == float(x[0, 0]) and cart.polemass_length == pytest.approx(0.1 * cart.length)
    assert cart._sutton_barto_reward is True


@pytest.mark.parametrize(
    ("member", "options", "problem"),
    [
        ("CartPole-v1", {}, "say what varies, as in -o dataset.vary=NAME=0.5..2 with NAME one of force_mag, gravity"),
        ("CartPole-v1", {"vary": "lenght=1..2"}, "no number 'lenght' that could vary. Did you mean 'length'?"),
        ("CartPole-v1", {"vary": "length=2..1"}, "'length=2..1' is no range of an attribute"),
        ("CartPole-v1", {"vary": "length=1..2", "arguments": "speed=3"}, "Gymnasium cannot make CartPole-v1"),
        ("CartPole-v1", {"vary": "length=1..2", "arguments": "speed"}, "'speed' is no argument of an environment"),
        ("no_such_module:Env-v0", {"vary": "length=1..2"}, "Gymnasium cannot make no_such_module:Env-v0"),
    ],
)
def test_what_cannot_be_made_is_refused_by_one_sentence(member, options, problem):
    with pytest.raises(ConfigError) as caught:
        GymTasks.of(member)(GymTasks.Options(**options), None).environment()
    assert problem in str(caught.value) and "\n" not in str(caught.value)


def test_names_and_actions_that_there_are_not(monkeypatch):
    with pytest.raises(ConfigError, match="Did you mean 'CartPole-v1'"):
        GymTasks.of("CartPole-v")
    space = gymnasium.spaces.MultiBinary(3)
    with pytest.raises(ConfigError, match="Actions are MultiBinary"):
        gym_environment(lambda: SimpleNamespace(action_space=space))
    monkeypatch.setattr(gym_tasks, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mamlbench\[gym\]'"):
        GymTasks.of("CartPole-v1")


def test_a_run_in_an_environment_is_verified(project):
    arguments = ["run", "--algo", "maml-rl", "--dataset", "gym:Pendulum-v1", "--shots", "2", "--queries", "1"]
    arguments += ["-o", "dataset.vary=g=5..15", "-o", "dataset.horizon=5", "--iterations", "2", "--engine", "vmap"]
    arguments += ["--meta-batch-size", "2", "--test-episodes", "2", "--validation-episodes", "2", "--device", "cpu"]
    project.run(*arguments, "-q")
    (path,) = (project.path / "results").glob("*.json")
    assert json.loads(path.read_text())["spec"]["dataset"]["options"]["vary"] == "g=5..15"
    assert "2 of 2 episodes computed again" in project.run("verify", "results").out


def test_an_environment_without_ranges_can_be_looked_at(project):
    assert "An environment of Gymnasium" in project.run("info", "gym:CartPole-v1").out
