"""Settings of the built-in algorithms: the quick defaults, and the published ones with their sources.

A quick preset is chosen on validation episodes to be good within a few minutes on two CPU cores, or by analogy with
one that was, which its source then says. A paper preset has
the paper's numbers; inner rates are those of the paper's code, whose loss is a sum divided by the shots
(``loss_reduction='per-shot'``): on the mean of N classes they are N times as large.
"""

from __future__ import annotations

from typing import Any

from mamlbench.api import Preset

MAML_PAPER = "Finn et al. 2017 (arXiv 1703.03400), appendix A.1, and the code published with it"
REPTILE_PAPER = "Nichol et al. 2018 (arXiv 1803.02999), table of hyper-parameters, and openai/supervised-reptile"
BASELINE_PAPER = (
    "Chen et al. 2019 (ICLR), section 4.2, and the code published with it, but for the length and the augmentation: "
    "400 epochs of miniImageNet there, 40 of Omniglot's 22,000 training drawings and none here"
)
ANIL_PAPER = (
    "the settings of Finn et al. 2017, appendix A.1, which Raghu et al. 2020 (arXiv 1909.09157) keep: from memory, not "
    "checked in the paper"
)
META_SGD_PAPER = (
    "Li et al. 2017 (arXiv 1707.09835), section 4.2, from memory, not checked in the paper; it draws the first rates "
    "from 0.005 to 0.1, here all are 0.05"
)
PROTONET_PAPER = (
    "scripts/train/few_shot/run_train.py of jakesnell/prototypical-networks, the code of Snell et al. 2017 (arXiv "
    "1703.05175); it halves the rate every 2,000 episodes and stops when validation no longer gains, here the rate "
    "falls linearly over a fixed number of episodes"
)
PROTONET_MINIIMAGENET = (
    "Snell et al. 2017 (arXiv 1703.05175), section 3.2, from memory, not checked in the paper; the length and the "
    "schedule as for Omniglot"
)
MAML_PLUS_PLUS_PAPER = (
    "experiment_config/omniglot_maml++-omniglot_1_8_0.1_64_20_0.json of AntreasAntoniou/HowToTrainYourMAMLPytorch; the "
    "outer rate falls to 0 here and to 1e-5 there"
)
IMAML_CODE = (
    "examples/README.md of aravindr93/imaml_dev, the code of Rajeswaran et al. 2019 (arXiv 1909.04630), but for its "
    "damping of the conjugate gradients, and that it tests without the pull to the initialization"
)
IMAML_20_WAY = f"{IMAML_CODE}; 25 inner steps for 20 ways from the paper's table 2, from memory, not checked in it"
QUICK = "chosen on validation episodes for a few minutes on two CPU cores"
IMAML_QUICK = (
    "one conjugate-gradient step because more of them do not learn in a short run: gain on 300 validation episodes of "
    "glyphs after 150 iterations, 16 wide, one seed: 12.6 ± 3.1 with 1, -0.7 ± 2.9 with 3; 3.1 ± 2.8 with 3 and "
    "prox_strength 2, 0.1 ± 2.6 with the paper's settings; the rest by analogy with MAML's"
)
UNTUNED = "by analogy with MAML's and pretrain's quick presets; not tuned"

_MAML_OMNIGLOT = {"outer_lr": 1e-3, "loss_reduction": "per-shot"}
_MAML_MINIIMAGENET = {
    "inner_lr": 0.01,
    "train_steps": 5,
    "test_steps": 10,
    "outer_lr": 1e-3,
    "loss_reduction": "per-shot",
    "clip": 10.0,
}

_SINUSOID_NETWORK: dict[str, Any] = {"hidden": (40, 40), "norm": False}

MAML_PRESETS: tuple[Preset, ...] = (
    Preset(
        name="quick",
        source=QUICK,
        iterations=700,
        meta_batch_size=32,
        options={"inner_lr": 0.4, "outer_lr": 0.003, "outer_schedule": "cosine"},
    ),
    Preset(
        name="quick",
        dataset="sinusoid",
        source=QUICK,
        iterations=20_000,
        meta_batch_size=25,
        train_queries=10,
        backbone_options=_SINUSOID_NETWORK,
        protocol={"queries": 100},
        options={"inner_lr": 0.01, "outer_lr": 1e-3, "outer_schedule": "cosine", "test_steps": 10},
    ),
    Preset(
        name="quick",
        dataset="miniimagenet",
        source=QUICK,
        iterations=400,
        meta_batch_size=4,
        train_queries=15,
        validations=4,
        options={"inner_lr": 0.03, "train_steps": 2, "test_steps": 5, "outer_lr": 1e-3, "outer_schedule": "cosine"},
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        source=MAML_PAPER,
        iterations=60_000,
        meta_batch_size=32,
        validations=60,
        options={"inner_lr": 0.4, "train_steps": 1, "test_steps": 3, **_MAML_OMNIGLOT},
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        ways=20,
        source=MAML_PAPER,
        iterations=60_000,
        meta_batch_size=16,
        validations=60,
        options={"inner_lr": 0.1, "train_steps": 5, "test_steps": 5, **_MAML_OMNIGLOT},
    ),
    Preset(
        name="paper",
        dataset="miniimagenet",
        source=MAML_PAPER,
        iterations=60_000,
        meta_batch_size=4,
        train_queries=15,
        validations=60,
        options=_MAML_MINIIMAGENET,
    ),
    Preset(
        name="paper",
        dataset="miniimagenet",
        shots=5,
        source=MAML_PAPER,
        iterations=60_000,
        meta_batch_size=2,
        train_queries=15,
        validations=60,
        options=_MAML_MINIIMAGENET,
        protocol={"queries": 5},
    ),
)

FOMAML_PRESETS: tuple[Preset, ...] = (
    Preset(
        name="quick",
        source=QUICK,
        iterations=1000,
        meta_batch_size=32,
        options={"inner_lr": 0.4, "outer_lr": 0.003, "outer_schedule": "cosine"},
    ),
    *(preset for preset in MAML_PRESETS if preset.dataset is not None),
)

_REPTILE_MINIIMAGENET = {
    "inner_lr": 1e-3,
    "train_steps": 8,
    "inner_batch_size": 10,
    "test_steps": 50,
    "test_batch_size": 5,
    "inner_optimizer_state": "persistent",
}

REPTILE_PRESETS = (
    Preset(
        name="quick",
        source=QUICK,
        iterations=1500,
        meta_batch_size=5,
        train_shots=10,
        train_queries=0,
        options={"inner_lr": 1e-3, "test_steps": 10},
    ),
    Preset(
        name="quick",
        dataset="miniimagenet",
        source=QUICK,
        iterations=500,
        meta_batch_size=5,
        train_shots=15,
        train_queries=0,
        validations=4,
        options={"inner_lr": 1e-3, "test_steps": 10},
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        source=REPTILE_PAPER,
        iterations=100_000,
        meta_batch_size=5,
        train_shots=10,
        train_queries=0,
        validations=50,
        dataset_options={"rotations": "classes", "polarity": 0},
        backbone_options={"pooling": "flatten"},
        options={
            "inner_lr": 1e-3,
            "train_steps": 5,
            "inner_batch_size": 10,
            "test_steps": 50,
            "test_batch_size": 5,
            "inner_optimizer_state": "persistent",
        },
        protocol={"test_episodes": 10_000},
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        ways=20,
        source=REPTILE_PAPER,
        iterations=200_000,
        meta_batch_size=5,
        train_shots=10,
        train_queries=0,
        validations=50,
        dataset_options={"rotations": "classes", "polarity": 0},
        backbone_options={"pooling": "flatten"},
        options={
            "inner_lr": 5e-4,
            "train_steps": 10,
            "inner_batch_size": 20,
            "test_steps": 50,
            "test_batch_size": 10,
            "inner_optimizer_state": "persistent",
        },
        protocol={"test_episodes": 10_000},
    ),
    Preset(
        name="paper",
        dataset="miniimagenet",
        source=REPTILE_PAPER,
        iterations=100_000,
        meta_batch_size=5,
        train_shots=15,
        train_queries=0,
        validations=50,
        backbone_options={"pooling": "flatten"},
        options=_REPTILE_MINIIMAGENET,
        protocol={"test_episodes": 10_000},
    ),
    Preset(
        name="paper",
        dataset="miniimagenet",
        shots=5,
        source=REPTILE_PAPER,
        iterations=100_000,
        meta_batch_size=5,
        train_shots=15,
        train_queries=0,
        validations=50,
        backbone_options={"pooling": "flatten"},
        options={**_REPTILE_MINIIMAGENET, "test_batch_size": 15},
        protocol={"test_episodes": 10_000},
    ),
)

_BASELINE_FINETUNING = {
    "outer_lr": 1e-3,
    "finetune_lr": 0.01,
    "finetune_batch": 4,
    "momentum": 0.9,
    "dampening": 0.9,
    "weight_decay": 1e-3,
}
_BASELINE_MINIIMAGENET: dict[str, Any] = {  # 400 epochs of 38,400 images; 100 epochs of the support set at test
    "iterations": 960_000,
    "meta_batch_size": 16,
    "validations": 40,
    "dataset_options": {"crop": 0.08, "flip": True, "jitter": 0.4, "normalize": "channels"},
    "backbone": "conv4-pooled",
    "backbone_options": {"width": 64, "pooling": "flatten", "scale": True},
    "protocol": {"queries": 16},
}

PRETRAIN_PRESETS = (
    Preset(
        name="quick",
        source=QUICK,
        iterations=2000,
        meta_batch_size=64,
        options={"outer_lr": 3e-3, "outer_schedule": "cosine", "finetune_lr": 0.5, "test_steps": 50},
    ),
    Preset(
        name="quick",
        dataset="miniimagenet",
        source=QUICK,
        iterations=1200,
        meta_batch_size=64,
        validations=4,
        options={"outer_lr": 3e-3, "outer_schedule": "cosine", "finetune_lr": 0.5, "test_steps": 50},
    ),
    Preset(
        name="quick",
        dataset="sinusoid",
        source=UNTUNED,
        iterations=20_000,
        meta_batch_size=64,
        backbone_options=_SINUSOID_NETWORK,
        protocol={"queries": 100},
        options={
            "outer_lr": 1e-3,
            "outer_schedule": "cosine",
            "finetune": "all",
            "finetune_lr": 0.01,
            "momentum": 0.0,
            "dampening": 0.0,
            "weight_decay": 0.0,
            "test_steps": 10,
        },
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        source=BASELINE_PAPER,
        iterations=55_000,
        meta_batch_size=16,
        validations=20,
        options={
            "outer_lr": 1e-3,
            "finetune_lr": 0.01,
            "finetune_batch": 4,
            "test_steps": 200,
            "momentum": 0.9,
            "dampening": 0.9,
            "weight_decay": 1e-3,
        },
    ),
    Preset(
        name="paper",
        dataset="miniimagenet",
        source=BASELINE_PAPER,
        **_BASELINE_MINIIMAGENET,
        options={**_BASELINE_FINETUNING, "test_steps": 200},
    ),
    Preset(
        name="paper",
        dataset="miniimagenet",
        shots=5,
        source=BASELINE_PAPER,
        **_BASELINE_MINIIMAGENET,
        options={**_BASELINE_FINETUNING, "test_steps": 700},
    ),
)

ANIL_PRESETS = (
    Preset(
        name="quick",
        source=UNTUNED,
        iterations=700,
        meta_batch_size=32,
        options={"inner_lr": 0.4, "outer_lr": 0.003, "outer_schedule": "cosine"},
    ),
    *(preset.model_copy(update={"source": ANIL_PAPER}) for preset in MAML_PRESETS if preset.name == "paper"),
)

META_SGD_PRESETS = (
    Preset(
        name="quick",
        source=UNTUNED,
        iterations=700,
        meta_batch_size=32,
        options={"inner_lr": 0.4, "outer_lr": 0.003, "outer_schedule": "cosine"},
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        source=META_SGD_PAPER,
        iterations=60_000,
        meta_batch_size=32,
        validations=60,
        options={"inner_lr": 0.05, "train_steps": 1, "test_steps": 1},
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        ways=20,
        source=META_SGD_PAPER,
        iterations=60_000,
        meta_batch_size=16,
        validations=60,
        options={"inner_lr": 0.05, "train_steps": 1, "test_steps": 1},
    ),
)

_PROTONET_PAPER: dict[str, Any] = {
    "iterations": 20_000,
    "meta_batch_size": 1,
    "validations": 60,
    "backbone": "conv4-pooled",
    "backbone_options": {"width": 64, "pooling": "flatten", "scale": True},
    "options": {"outer_lr": 1e-3, "outer_schedule": "linear"},
}
PROTONET_PRESETS = (
    Preset(
        name="quick",
        source=UNTUNED,
        iterations=700,
        meta_batch_size=32,
        options={"outer_lr": 0.003, "outer_schedule": "cosine"},
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        source=PROTONET_PAPER,
        **_PROTONET_PAPER,
        train_ways=60,
        train_queries=5,
        protocol={"queries": 15},
    ),
    *(
        Preset(
            name="paper",
            dataset="miniimagenet",
            shots=shots,
            source=PROTONET_MINIIMAGENET,
            **_PROTONET_PAPER,
            train_ways=ways,
            train_queries=15,
            protocol={"queries": 15},
        )
        for shots, ways in ((1, 30), (5, 20))
    ),
)

MAML_PLUS_PLUS_PRESETS = (
    Preset(
        name="quick",
        source=UNTUNED,
        iterations=500,
        meta_batch_size=16,
        options={"inner_lr": 0.4, "train_steps": 2, "test_steps": 2, "outer_lr": 0.003},
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        source=MAML_PLUS_PLUS_PAPER,
        iterations=50_000,
        meta_batch_size=8,
        validations=100,
        backbone="conv4-pooled",
        backbone_options={"width": 64, "scale": True},
        options={
            "inner_lr": 0.1,
            "train_steps": 5,
            "test_steps": 5,
            "multi_step_fraction": 0.1,
            "first_order_fraction": 0.0,
            "outer_lr": 1e-3,
            "outer_schedule": "cosine",
        },
    ),
)

IMAML_PRESETS = (
    Preset(
        name="quick",
        source=IMAML_QUICK,
        iterations=400,
        meta_batch_size=16,
        options={
            "inner_lr": 0.4,
            "prox_strength": 0.5,
            "train_steps": 5,
            "test_steps": 5,
            "cg_steps": 1,
            "outer_lr": 0.003,
            "outer_schedule": "cosine",
        },
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        source=IMAML_CODE,
        iterations=20_000,
        meta_batch_size=32,
        validations=40,
        options={
            "inner_lr": 0.1,
            "prox_strength": 2.0,
            "train_steps": 16,
            "test_steps": 16,
            "cg_steps": 5,
            "outer_lr": 1e-3,
        },
    ),
    Preset(
        name="paper",
        dataset="omniglot",
        ways=20,
        source=IMAML_20_WAY,
        iterations=20_000,
        meta_batch_size=32,
        validations=40,
        options={
            "inner_lr": 0.1,
            "prox_strength": 2.0,
            "train_steps": 25,
            "test_steps": 25,
            "cg_steps": 5,
            "outer_lr": 1e-3,
        },
    ),
)

BASELINE_PLUS_PLUS_PRESETS = tuple(
    preset.model_copy(update={"source": UNTUNED}) if preset.name == "quick" else preset for preset in PRETRAIN_PRESETS
)
