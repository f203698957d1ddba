"""Backbones that are wrong on purpose."""

import itertools
import random

import numpy as np
import torch
from torch import nn

from mamlbench.api import (
    Backbone,
    BatchNorm,
    ConfigError,
    StochasticLayer,
)

from .registry import caught_by


class Flat(Backbone):
    """A sound one: flatten, a hidden layer, batch norm."""

    def features(self, input_shape):
        pixels = int(np.prod(input_shape))
        return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 6, bias=False), BatchNorm(6), *self.more()), 6

    def more(self):
        return [nn.Tanh()]


def module(function):
    """A module without parameters."""

    class Layer(nn.Module):
        def forward(self, x):
            return function(x)

    return Layer()


@caught_by("can be built and run", "backbone")
class FailsInForward(Flat):
    def more(self):
        return [nn.Linear(5, 6)]


@caught_by("shapes and types", "backbone")
class WrongWidth(Flat):
    def features(self, input_shape):
        return super().features(input_shape)[0], 5


@caught_by("shapes and types", "backbone")
class CastsToFloat32(Flat):
    def head(self, features, outputs):
        return nn.Sequential(super().head(features, outputs), module(lambda x: x.float()))


@caught_by("unsupported shapes raise config error", "backbone")
class CrashesOnColor(Flat):
    def features(self, input_shape):
        return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 6), nn.Tanh()), 6


@caught_by("seed determines the parameters", "backbone")
class OwnRandomState(Flat):
    def features(self, input_shape):
        made, width = super().features(input_shape)
        with torch.no_grad():
            made[1].weight.fill_(0.1)
            made[1].weight[0, 0] = random.Random().random()
        return made, width


@caught_by("forward pass changes nothing", "backbone")
class RunningMean(Flat):
    def more(self):
        class Center(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("mean", torch.zeros(6))

            def forward(self, x):
                self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
                return x - self.mean

        return [Center()]


@caught_by("inductive examples are independent", "backbone")
class CentersTheBatch(Flat):
    def more(self):
        return [module(lambda x: x - x.mean(0))]


@caught_by("statistics can be replayed", "backbone")
class ShufflesItsLayers(Flat):
    def more(self):
        first, second, turns = BatchNorm(6), BatchNorm(6), itertools.count()
        nn.init.constant_(second.bias, 0.5)

        class Either(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([first, second])

            def forward(self, x):
                one, other = self.layers if next(turns) % 2 else reversed(self.layers)
                return torch.relu(other(torch.relu(one(x))))

        return [Either()]


@caught_by("every parameter is used", "backbone")
class DeadLayer(Flat):
    def more(self):
        class Dead(nn.Module):
            def __init__(self):
                super().__init__()
                self.unused = nn.Linear(6, 6)

            def forward(self, x):
                return torch.tanh(x)

        return [Dead()]


@caught_by("can be built and run", "backbone")
class HasTwoBehaviors(Flat):
    def more(self):
        return [nn.Tanh(), nn.AlphaDropout(0.5)]


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else 2 * x


@caught_by("tasks can be vectorized", "backbone")
class LooksAtValues(Flat):
    def more(self):
        return [nn.Tanh(), Branches()]


@caught_by("noise depends only on its key", "backbone")
class DrawsItsNoise(Flat):
    def more(self):
        class Draws(StochasticLayer):
            def noisy(self, x, key):
                return x * torch.rand_like(x)

        return [nn.Tanh(), Draws()]


@caught_by("second derivatives are correct", "backbone")
class FirstOrderOnly(Flat):
    def more(self):
        return [module(lambda x: x.detach() * x)]


@caught_by("fused layers are equivalent", "backbone")
class FollowsASwitch(Backbone):
    """What it computes depends on an attribute of its own, which tracing reads once."""

    def features(self, input_shape):
        class Switching(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(input_shape[0], 4, 3)
                self.passes = 0

            def forward(self, x):
                self.passes += 1
                return self.conv(x).mean((2, 3)) * self.passes

        return Switching(), 4


class Tokens(Backbone):
    """A sound network of token ids: the mean of their embeddings."""

    example_shapes = ((5,),)

    def features(self, input_shape):
        if len(input_shape) != 1:
            raise ConfigError("tokens are needed")
        return nn.Sequential(nn.Embedding(7, 6), *self.more(), module(lambda x: x.mean(1))), 6

    def more(self):
        return [nn.Tanh()]


@caught_by("forward pass changes nothing", "backbone")
class CountsTokens(Tokens):
    def more(self):
        class Count(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("seen", torch.zeros(()))

            def forward(self, x):
                self.seen = self.seen + x.shape[0]
                return torch.tanh(x)

        return [Count()]


@caught_by("tasks can be vectorized", "backbone")
class BranchesOnTokens(Tokens):
    def more(self):
        return [module(lambda x: torch.tanh(x) if float(x.detach().sum()) > -100 else x)]
