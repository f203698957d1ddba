"""The contracts: the only module that a plugin needs to import from.

Names are imported when they are first used, so that a tracker or a launcher loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mamlbench.api.algorithm import (
        AdaptedTasks,
        Algorithm,
        GradientBased,
        InnerLoop,
        MetaOptimized,
        MethodContext,
        OuterUpdate,
    )
    from mamlbench.api.backbone import Backbone, Encoder
    from mamlbench.api.engine import Engine, InnerLoopMethod
    from mamlbench.api.launcher import Emit, Job, Launcher
    from mamlbench.api.peer import Peer, PeerTraining, PeerWork
    from mamlbench.api.tracker import Tracker
    from mamlbench.data.augmentation import Augmentation
    from mamlbench.data.counter_rng import Keys, hash64, sample_without_replacement, seed_key, uniform
    from mamlbench.data.dataset import SPLITS, DataPaths, Dataset, DatasetInfo, LocalCopy, TaskSplit
    from mamlbench.data.episodes import EpisodeBatch, Examples
    from mamlbench.data.image_cache import CachedImages, ImageStream, cached_images, image_hashes, load_cached_images
    from mamlbench.data.image_decoding import Fit, ImageFile, ImageFormat, decode_images, is_image
    from mamlbench.data.image_split import ImageSplit, Normalization, Rotations
    from mamlbench.data.image_tree import ImageTree, split_of_folder
    from mamlbench.data.minibatches import gather, minibatch_order
    from mamlbench.data.progress import ProgressCallback, no_progress, with_progress
    from mamlbench.data.sampler import TaskSampler
    from mamlbench.errors import (
        ConfigError,
        DamagedImagesError,
        DataError,
        MamlbenchError,
        MissingDataError,
        MissingDependencyError,
        RunFailedError,
        summarize_names,
    )
    from mamlbench.nn.batch_norm import BatchNorm, BatchStats, record_statistics, replay_statistics
    from mamlbench.nn.dropout import DropBlock, Dropout, StochasticLayer, bernoulli_mask, noise_key_scope
    from mamlbench.nn.gradients import grad, grad_and_value, vjp
    from mamlbench.nn.inner_optimizers import AdamState, InnerAdam, InnerSGD, SGDState
    from mamlbench.nn.model import Model
    from mamlbench.nn.network import Network
    from mamlbench.nn.optimizers import OuterOptimizer, OuterOptions, Schedule, scheduled
    from mamlbench.nn.parameters import Parameters
    from mamlbench.nn.pytree import copy_into, prefixed, tree_map, unprefixed
    from mamlbench.nn.seeding import seeded
    from mamlbench.objectives import Classification, Metric, Objective, Regression
    from mamlbench.packed_job import PackedJob, PackedResult, WorkerLink
    from mamlbench.plugin.callbacks import (
        Register,
        RegisterColumn,
        RegisterOptionalPackage,
        RegisterPublished,
        RegisterSpeedrun,
        RegisterSuite,
    )
    from mamlbench.plugin.markers import hookimpl
    from mamlbench.plugin.name_family import NameFamily
    from mamlbench.run_spec import Mode, Preset, Setting
    from mamlbench.run_spec.options import Options
    from mamlbench.run_spec.search_space import IntRange, LogUniform, OneOf, Uniform

_HOMES = {
    "mamlbench.api.algorithm": "Algorithm OuterUpdate GradientBased InnerLoop AdaptedTasks MetaOptimized MethodContext",
    "mamlbench.api.backbone": "Backbone Encoder",
    "mamlbench.api.engine": "Engine InnerLoopMethod",
    "mamlbench.api.launcher": "Emit Job Launcher",
    "mamlbench.api.peer": "Peer PeerTraining PeerWork",
    "mamlbench.api.tracker": "Tracker",
    "mamlbench.data.augmentation": "Augmentation",
    "mamlbench.data.counter_rng": "Keys hash64 sample_without_replacement seed_key uniform",
    "mamlbench.data.dataset": "SPLITS DataPaths Dataset DatasetInfo LocalCopy TaskSplit",
    "mamlbench.data.episodes": "EpisodeBatch Examples",
    "mamlbench.data.image_cache": "CachedImages ImageStream cached_images image_hashes load_cached_images",
    "mamlbench.data.image_decoding": "Fit ImageFile ImageFormat decode_images is_image",
    "mamlbench.data.image_split": "ImageSplit Normalization Rotations",
    "mamlbench.data.image_tree": "ImageTree split_of_folder",
    "mamlbench.data.minibatches": "gather minibatch_order",
    "mamlbench.data.progress": "ProgressCallback no_progress with_progress",
    "mamlbench.data.sampler": "TaskSampler",
    "mamlbench.errors": "ConfigError DamagedImagesError DataError MamlbenchError MissingDataError "
    "MissingDependencyError RunFailedError summarize_names",
    "mamlbench.nn.batch_norm": "BatchNorm BatchStats record_statistics replay_statistics",
    "mamlbench.nn.dropout": "DropBlock Dropout StochasticLayer bernoulli_mask noise_key_scope",
    "mamlbench.nn.gradients": "grad grad_and_value vjp",
    "mamlbench.nn.inner_optimizers": "AdamState InnerAdam InnerSGD SGDState",
    "mamlbench.nn.model": "Model",
    "mamlbench.nn.network": "Network",
    "mamlbench.nn.optimizers": "OuterOptimizer OuterOptions Schedule scheduled",
    "mamlbench.nn.parameters": "Parameters",
    "mamlbench.nn.pytree": "copy_into prefixed tree_map unprefixed",
    "mamlbench.nn.seeding": "seeded",
    "mamlbench.objectives": "Classification Metric Objective Regression",
    "mamlbench.packed_job": "PackedJob PackedResult WorkerLink",
    "mamlbench.plugin.callbacks": "Register RegisterColumn RegisterOptionalPackage RegisterPublished"
    " RegisterSpeedrun RegisterSuite",
    "mamlbench.plugin.markers": "hookimpl",
    "mamlbench.plugin.name_family": "NameFamily",
    "mamlbench.run_spec": "Mode Preset Setting",
    "mamlbench.run_spec.options": "Options",
    "mamlbench.run_spec.search_space": "IntRange LogUniform OneOf Uniform",
}
"""Modules and the names that plugins need of them. A test compares them with the imports above."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "SPLITS",
    "AdamState",
    "AdaptedTasks",
    "Algorithm",
    "Augmentation",
    "Backbone",
    "BatchNorm",
    "BatchStats",
    "CachedImages",
    "Classification",
    "ConfigError",
    "DamagedImagesError",
    "DataError",
    "DataPaths",
    "Dataset",
    "DatasetInfo",
    "DropBlock",
    "Dropout",
    "Emit",
    "Encoder",
    "Engine",
    "EpisodeBatch",
    "Examples",
    "Fit",
    "GradientBased",
    "ImageFile",
    "ImageFormat",
    "ImageSplit",
    "ImageStream",
    "ImageTree",
    "InnerAdam",
    "InnerLoop",
    "InnerLoopMethod",
    "InnerSGD",
    "IntRange",
    "Job",
    "Keys",
    "Launcher",
    "LocalCopy",
    "LogUniform",
    "MamlbenchError",
    "MetaOptimized",
    "MethodContext",
    "Metric",
    "MissingDataError",
    "MissingDependencyError",
    "Mode",
    "Model",
    "NameFamily",
    "Network",
    "Normalization",
    "Objective",
    "OneOf",
    "Options",
    "OuterOptimizer",
    "OuterOptions",
    "OuterUpdate",
    "PackedJob",
    "PackedResult",
    "Parameters",
    "Peer",
    "PeerTraining",
    "PeerWork",
    "Preset",
    "ProgressCallback",
    "Register",
    "RegisterColumn",
    "RegisterOptionalPackage",
    "RegisterPublished",
    "RegisterSpeedrun",
    "RegisterSuite",
    "Regression",
    "Rotations",
    "RunFailedError",
    "SGDState",
    "Schedule",
    "Setting",
    "StochasticLayer",
    "TaskSampler",
    "TaskSplit",
    "Tracker",
    "Uniform",
    "WorkerLink",
    "bernoulli_mask",
    "cached_images",
    "copy_into",
    "decode_images",
    "gather",
    "grad",
    "grad_and_value",
    "hash64",
    "hookimpl",
    "image_hashes",
    "is_image",
    "load_cached_images",
    "minibatch_order",
    "no_progress",
    "noise_key_scope",
    "prefixed",
    "record_statistics",
    "replay_statistics",
    "sample_without_replacement",
    "scheduled",
    "seed_key",
    "seeded",
    "split_of_folder",
    "summarize_names",
    "tree_map",
    "uniform",
    "unprefixed",
    "vjp",
    "with_progress",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mamlbench.api' has no attribute '{name}'")
    value = globals()[name] = getattr(importlib.import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    """Name what is imported when it is first used too, for completion and ``help``."""
    return sorted({*globals(), *__all__})
