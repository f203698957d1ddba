"""Sequences of token ids: a data set whose inputs are int64, and networks that embed them."""

import hashlib
from types import MappingProxyType

import numpy as np
import torch
from torch import nn

import mamlbench
from mamlbench.api import (
    SPLITS,
    Backbone,
    Classification,
    ConfigError,
    Dataset,
    DatasetInfo,
    EpisodeBatch,
    Examples,
    TaskSplit,
    hash64,
    sample_without_replacement,
)

LENGTH, WORDS, CLASSES = 6, 20, MappingProxyType({"train": 30, "val": 10, "test": 12})


class TokenSplit(TaskSplit):
    """A class is a set of three words; an example is a sequence of them and of noise: int64 ``[LENGTH]``."""

    def __init__(self, split, device=None):
        self.split, self.device, self.size = split, device or torch.device("cpu"), CLASSES[split]
        self.hash = hashlib.sha256(split.encode()).hexdigest()
        self.first = sum(CLASSES[name] for name in SPLITS[: SPLITS.index(split)])

    @property
    def input_shape(self):
        return (LENGTH,)

    @property
    def objective(self):
        return Classification(self.size)

    def to(self, device):
        return TokenSplit(self.split, device)

    def _x(self, keys, classes):
        """Sequences for a key each: int64 ``[*keys.shape, LENGTH]``."""
        place = hash64(keys[..., None], np.arange(LENGTH))
        word = hash64(hash64(np.uint64(7), classes + self.first)[..., None], place % np.uint64(3)) % np.uint64(WORDS)
        noise = hash64(place, 9) % np.uint64(WORDS)
        chosen = np.where(hash64(place, 8) % np.uint64(10) < 8, word, noise)
        return torch.from_numpy(chosen.astype(np.int64)).to(self.device)

    def episodes(self, keys, ways, shots, queries):
        if ways > self.size:
            raise ConfigError(f"{ways} ways were requested, and there are {self.size} classes.")
        classes = sample_without_replacement(hash64(keys, 0), self.size, ways)  # [T, N]
        draws = hash64(
            hash64(hash64(keys, 1)[:, None], classes)[..., None], np.arange(shots + queries)
        )  # [T, N, K + Q]
        x = self._x(draws, np.broadcast_to(classes[..., None], draws.shape))  # [T, N, K + Q, L]
        y = torch.arange(ways, device=self.device)[None, :, None].expand(x.shape[:3])
        return EpisodeBatch(
            support=Examples(x[:, :, :shots].flatten(1, 2), y[:, :, :shots].flatten(1, 2)),
            query=Examples(x[:, :, shots:].flatten(1, 2), y[:, :, shots:].flatten(1, 2)),
            keys=torch.from_numpy(hash64(keys, 3).view(np.int64)),
            classes=torch.from_numpy(classes.astype(np.int64)),
        )

    def labeled_examples(self, key, count):
        draws = hash64(key, np.arange(count))
        classes = (hash64(draws, 0) % np.uint64(self.size)).astype(np.int64)
        return Examples(self._x(draws, classes), torch.from_numpy(classes).to(self.device))


class Tokens(Dataset):
    """Sequences of six token ids, of classes that differ in their words."""

    info = DatasetInfo("tokens", "none", "none")
    default_backbone = "embedding"

    def load(self):
        self.origin = "computed"
        return {name: TokenSplit(name) for name in SPLITS}


class Embedding(Backbone):
    """An embedding of each token, averaged."""

    example_shapes = ((LENGTH,),)

    def features(self, input_shape):
        if len(input_shape) != 1:
            raise ConfigError(f"it takes sequences, not inputs of shape {input_shape}")
        return nn.Sequential(nn.Embedding(WORDS, 16), Mean()), 16


class Transformer(Backbone):
    """A transformer layer on the embeddings, with torch's fused attention."""

    example_shapes = ((LENGTH,),)

    def features(self, input_shape):
        if len(input_shape) != 1:
            raise ConfigError(f"it takes sequences, not inputs of shape {input_shape}")
        return nn.Sequential(nn.Embedding(WORDS, 16), SelfAttention(16), Mean()), 16


class SelfAttention(nn.Module):
    """Two heads of attention, added to the input: ``[n, L, d]`` to ``[n, L, d]``."""

    def __init__(self, width):
        super().__init__()
        self.project = nn.Linear(width, 3 * width)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = self.project(x).view(n, length, 3, 2, width // 2).permute(2, 0, 3, 1, 4)  # [n, 2, L, d / 2] each
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + mixed.transpose(1, 2).reshape(n, length, width)


class Mean(nn.Module):
    """The mean over the sequence: ``[n, L, d]`` to ``[n, d]``."""

    def forward(self, x):
        return x.mean(1)


@mamlbench.hookimpl
def mamlbench_register_datasets(register):
    register("tokens", Tokens, summary="sequences of token ids")


@mamlbench.hookimpl
def mamlbench_register_backbones(register):
    register("embedding", Embedding, summary="the mean of embeddings")
    register("transformer", Transformer, summary="attention on embeddings")
