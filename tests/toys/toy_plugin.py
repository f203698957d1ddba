"""A data set of noisy prototypes and some misbehaving algorithms, for short runs."""

import os
import random
import signal

import numpy as np
import torch

import mamlbench
from mamlbench.api import Dataset, DatasetInfo, ImageSplit
from mamlbench_plugins.algorithms.fomaml import FOMAML

DRAWINGS = 12


class Toy(Dataset):
    """Classes are random 14x14 patterns; each drawing is a noisy copy."""

    info = DatasetInfo("toy patterns", "none", "none")

    def load(self):
        generator = torch.Generator().manual_seed(0)

        def make_split(split, classes):
            patterns = torch.rand(classes, 1, 1, 14, 14, generator=generator)
            noise = torch.rand(classes, DRAWINGS, 1, 14, 14, generator=generator)
            images = ((0.35 * patterns + 0.65 * noise) * 255).to(torch.uint8).flatten(0, 1)
            offsets = np.arange(0, classes * DRAWINGS + 1, DRAWINGS)
            return ImageSplit(images, offsets, tuple(f"{split}/{number}" for number in range(classes)))

        return {"train": make_split("train", 40), "val": make_split("val", 15), "test": make_split("test", 15)}


class Explodes(FOMAML):
    """Returns NaN after a few iterations."""

    def apply(self, update):
        super().apply(update)
        if self.outer.done >= 12:
            next(iter(self.meta.values())).fill_(float("nan"))


class Stumbles(FOMAML):
    """The loss of every task whose key is a multiple of 16 is NaN."""

    def compute_update(self, batch):
        update = super().compute_update(batch)
        return update._replace(loss=update.loss * float("nan")) if bool((batch.keys % 16 == 0).any()) else update


class Careless(FOMAML):
    """Draws from every global generator and changes global settings."""

    def apply(self, update):
        noise = 1e-3 * (random.random() + np.random.rand() + torch.rand(()))
        super().apply(update._replace(sums={name: value + noise for name, value in update.sums.items()}))
        random.seed(1)
        torch.manual_seed(1)
        torch.set_float32_matmul_precision("medium")
        torch.set_num_threads(1)


class Raises(FOMAML):
    """Raises after a few iterations."""

    def apply(self, update):
        super().apply(update)
        if self.outer.done >= 12:
            raise ValueError("the plugin's own mistake")


class Interrupts(FOMAML):
    """Presses Ctrl-C after a few iterations."""

    def apply(self, update):
        super().apply(update)
        if self.outer.done >= 12:
            signal.raise_signal(signal.SIGTERM)


class Dies(FOMAML):
    """Kills its process, as a system that is short of memory does."""

    def apply(self, update):
        os.kill(os.getpid(), signal.SIGKILL)


class Unvectorizable(FOMAML):
    """Branches on a value of the data, which vmap refuses."""

    def loss(self, state, query):
        loss = super().loss(state, query)
        return loss if float(loss) > -1 else -loss


@mamlbench.hookimpl
def mamlbench_register_datasets(register):
    register("toy", Toy, summary="noisy patterns")


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("explodes", Explodes)
    register("careless", Careless)
    register("raises", Raises)
    register("stumbles", Stumbles)
    register("interrupts", Interrupts)
    register("dies", Dies)
    register("unvectorizable", Unvectorizable)
