"""Full fine-tuning: pretraining on all training classes, then all layers are trained on each support set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mamlbench.api import IntRange, LogUniform
from mamlbench_plugins.algorithms.presets import load_presets
from mamlbench_plugins.algorithms.pretrain import Pretrain, PretrainOptions


class FineTuneOptions(PretrainOptions):
    """Options of full fine-tuning: those of pretraining, with all layers tuned."""

    finetune: Literal["head", "all"] = Field("all", description="fine-tune the head alone, or all layers")
    test_steps: Annotated[int, IntRange(5, 50, log=True)] = Field(
        20, ge=0, description="fine-tuning steps in validation and test"
    )
    finetune_lr: Annotated[float, LogUniform(0.001, 1.0)] = Field(0.05, gt=0, description="rate of fine-tuning")


class FineTune(Pretrain):
    """Pretraining whose test-time stage tunes the whole network: "fine-tuning baseline" of Ravi & Larochelle 2017.

    Training stage:     minimize the loss of one network on minibatches of all training classes.
    Fine-tuning stage:  for each task a new head (all zeros) on the pretrained features, all trained on the support set.
    """

    Options = FineTuneOptions
    presets = load_presets("finetune")
