"""The contracts: the only module that a plugin's classes need to import from."""

from mamlbench.api.algorithm import (
    Algorithm,
    Direction,
    GradientBased,
    InnerLoop,
    Learner,
    OuterStep,
    Workbench,
    copy_into,
    prefixed,
    tree_map,
    unprefixed,
)
from mamlbench.api.augment import Augmentation
from mamlbench.api.backbone import (
    Backbone,
    BatchNorm,
    Network,
    Statistics,
    record_statistics,
    replay_statistics,
)
from mamlbench.api.class_pool import ClassPool, Normalisation, Rotations
from mamlbench.api.conv_block import ConvBlocks, RectifiedNorm
from mamlbench.api.convolution import Convolution
from mamlbench.api.engine import Engine, MetaLearned
from mamlbench.api.episodes import EpisodeBatch, Examples
from mamlbench.api.fixed_features import with_fixed_features
from mamlbench.api.gradients import grad, grad_and_value, pull_back
from mamlbench.api.hashing import Keys, draw, mix, seed_key, uniform
from mamlbench.api.inner_gradient import inner_gradient
from mamlbench.api.launcher import Emit, Job, Launcher
from mamlbench.api.minibatches import minibatch_order, take
from mamlbench.api.model import Model, Parameters
from mamlbench.api.noise import DropBlock, Dropout, Noise, chosen, training_noise
from mamlbench.api.options import Options
from mamlbench.api.outer import OuterOptimizer, OuterOptions, Schedule, scheduled
from mamlbench.api.packed import ImageStream, PackedImages, image_hashes, packed_images, prepared_images
from mamlbench.api.peer import Peer, PeerTraining, PeerWork
from mamlbench.api.pictures import Fit, PictureFile, PictureFormat, Progress, decoded, is_picture, tell
from mamlbench.api.pooled_norm import PooledNorm
from mamlbench.api.problem import Classification, Metric, Problem, Regression
from mamlbench.api.sampler import TaskSampler
from mamlbench.api.sources import SPLITS, DataPlaces, Finding, SourceInfo, TaskPool, TaskSource, ignore
from mamlbench.api.together import maps_together
from mamlbench.api.tracker import Tracker
from mamlbench.spec import Mode, Preset, Setting

__all__ = [
    "SPLITS",
    "Algorithm",
    "Augmentation",
    "Backbone",
    "BatchNorm",
    "ClassPool",
    "Classification",
    "ConvBlocks",
    "Convolution",
    "DataPlaces",
    "Direction",
    "DropBlock",
    "Dropout",
    "Emit",
    "Engine",
    "EpisodeBatch",
    "Examples",
    "Finding",
    "Fit",
    "GradientBased",
    "ImageStream",
    "InnerLoop",
    "Job",
    "Keys",
    "Launcher",
    "Learner",
    "MetaLearned",
    "Metric",
    "Mode",
    "Model",
    "Network",
    "Noise",
    "Normalisation",
    "Options",
    "OuterOptimizer",
    "OuterOptions",
    "OuterStep",
    "PackedImages",
    "Parameters",
    "Peer",
    "PeerTraining",
    "PeerWork",
    "PictureFile",
    "PictureFormat",
    "PooledNorm",
    "Preset",
    "Problem",
    "Progress",
    "RectifiedNorm",
    "Regression",
    "Rotations",
    "Schedule",
    "Setting",
    "SourceInfo",
    "Statistics",
    "TaskPool",
    "TaskSampler",
    "TaskSource",
    "Tracker",
    "Workbench",
    "chosen",
    "copy_into",
    "decoded",
    "draw",
    "grad",
    "grad_and_value",
    "ignore",
    "image_hashes",
    "inner_gradient",
    "is_picture",
    "maps_together",
    "minibatch_order",
    "mix",
    "packed_images",
    "prefixed",
    "prepared_images",
    "pull_back",
    "record_statistics",
    "replay_statistics",
    "scheduled",
    "seed_key",
    "take",
    "tell",
    "training_noise",
    "tree_map",
    "uniform",
    "unprefixed",
    "with_fixed_features",
]
