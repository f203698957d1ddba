"""Environments by hand, and the shapes of their trajectories."""

import math

import pytest
import torch
from torch.func import vmap

from mamlbench_plugins.datasets.environments import Bandits, Navigation

NO_SPREAD = torch.full((2,), -20.0)


def example(environment, task, n=3):
    noise = torch.rand(n, environment.horizon * environment.noise_size, generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.as_tensor(task).expand(n, -1), noise], 1)


def test_a_point_that_goes_straight_to_the_goal_collects_the_distances_on_its_way():
    environment, goal = Navigation(horizon=6), torch.tensor([0.3, 0.0])
    x = example(environment, goal)
    run = environment.run(lambda state: goal - state, NO_SPREAD, x)
    # at most 0.1 a step: it is 0.2, 0.1 and 0 away after the first steps, and then the trajectory has ended
    torch.testing.assert_close(run.rewards.sum(1), torch.full((3,), -(0.2**2 + 0.1**2)), atol=1e-5, rtol=0)
    assert run.running[0].tolist() == [1, 1, 1, 0, 0, 0] and run.observations.shape == (3, 6, 2)
    assert run.rewards.max() <= 0


def test_goals_are_in_the_square_and_noise_is_normal():
    environment = Navigation()
    goals = environment.draw_task(torch.rand(5000, 2))
    assert goals.min() >= -0.5 and goals.max() < 0.5 and abs(float(goals.mean())) < 0.02
    noise = torch.rand(20_000, 2)
    actions = environment.act(torch.tensor([1.0, -1.0]), torch.tensor([0.0, math.log(2.0)]), noise)
    torch.testing.assert_close(actions.mean(0), torch.tensor([1.0, -1.0]), atol=0.06, rtol=0)
    torch.testing.assert_close(actions.std(0), torch.tensor([1.0, 2.0]), atol=0.05, rtol=0)
    reference = torch.distributions.Normal(torch.tensor([1.0, -1.0]), torch.tensor([1.0, 2.0]))
    log_p = environment.log_probability(torch.tensor([1.0, -1.0]), torch.tensor([0.0, math.log(2.0)]), actions)
    torch.testing.assert_close(log_p, reference.log_prob(actions).sum(-1))


def test_arms_bring_rewards_with_their_probabilities():
    environment = Bandits(arms=3, horizon=2000)
    logits = torch.tensor([0.0, 1.0, -1.0])
    run = environment.run(
        lambda state: logits.expand(len(state), -1), torch.zeros(0), example(environment, [0.9, 0.2, 0.5])
    )
    chosen = torch.bincount(run.actions.long().flatten(), minlength=3) / run.actions.numel()
    torch.testing.assert_close(chosen, logits.softmax(-1), atol=0.03, rtol=0)
    expected = float((logits.softmax(-1) * torch.tensor([0.9, 0.2, 0.5])).sum())
    assert float(run.rewards.mean()) == pytest.approx(expected, abs=0.03)
    log_p = environment.log_probability(logits.expand(3, -1), torch.zeros(0), torch.tensor([[0.0], [1.0], [2.0]]))
    torch.testing.assert_close(log_p, logits.log_softmax(-1))


@pytest.mark.parametrize("environment", [Navigation(5), Bandits(4, 5)])
def test_tasks_run_together_as_one_after_the_other(environment):
    tasks = environment.draw_task(torch.rand(4, environment.task_size, generator=torch.Generator().manual_seed(1)))
    x = torch.stack([example(environment, task) for task in tasks])
    weight = torch.randn(environment.observation_size, environment.outputs, generator=torch.Generator().manual_seed(2))
    spread = torch.zeros(environment.spreads)

    def rewards(x):
        return environment.run(lambda state: (state + 1) @ weight, spread, x).rewards

    torch.testing.assert_close(vmap(rewards)(x), torch.stack([rewards(one) for one in x]))
    moved = environment.shifted(x, 2)
    task, noise = environment.parts(moved)
    assert torch.equal(task, environment.parts(x)[0])
    assert torch.equal(noise[..., 2:, :], environment.parts(x)[1][..., :-2, :])
