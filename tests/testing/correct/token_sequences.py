"""Sequences: a very large family of classes of token sequences, and two recurrent networks."""

import hashlib

import numpy as np
import torch
from pydantic import Field
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
    Options,
    TaskSplit,
    hash64,
    seed_key,
    uniform,
)

VOCABULARY, LENGTH = 50, 6
CLASSES = 2**40
"""Classes of each split: too many to list."""


class PhraseSplit(TaskSplit):
    """One split. A class is a phrase: at each place its examples have the phrase's token, or half of the time any."""

    size = CLASSES
    input_shape = (LENGTH,)

    def __init__(self, split):
        self.salt = seed_key("phrases", split)
        self.hash = hashlib.sha256(f"phrases {split} {VOCABULARY} {LENGTH}".encode()).hexdigest()

    @property
    def objective(self):
        return Classification(CLASSES)

    def to(self, device):
        return self

    def labeled_examples(self, key, count):
        raise ConfigError(f"There are {CLASSES} classes, too many for the outputs of one network.")

    def episodes(self, keys, ways, shots, queries):
        if ways > CLASSES:
            raise ConfigError(f"{ways} ways were requested, and there are {CLASSES} classes.")
        classes = self.classes(keys, ways)
        return EpisodeBatch(
            self.examples(classes, hash64(keys, 1), shots),
            self.examples(classes, hash64(keys, 2), queries),
            torch.from_numpy(hash64(keys, 3).view(np.int64)),
            torch.from_numpy(classes),
        )

    def classes(self, keys, ways):
        """Different classes: int64 ``[T, ways]``. Steps of an odd number meet none twice modulo a power of two."""
        start, step = hash64(keys, 4)[:, None], hash64(keys, 5)[:, None] | np.uint64(1)
        return ((start + step * np.arange(ways, dtype=np.uint64)) % np.uint64(CLASSES)).astype(np.int64)

    def examples(self, classes, keys, count):
        """Examples of each class, class after class: x int64 ``[T, ways * count, LENGTH]``."""
        tasks, ways = classes.shape
        phrase = uniform(hash64(self.salt, classes)[..., None], np.arange(LENGTH))[:, :, None]  # [T, ways, 1, LENGTH]
        places = np.arange(ways)[:, None, None] + ways * (np.arange(count)[:, None] * LENGTH + np.arange(LENGTH))
        other, chance = (uniform(hash64(keys, which)[:, None, None, None], places) for which in (0, 1))
        tokens = (VOCABULARY * np.where(chance < 0.5, phrase, other)).astype(np.int64)
        labels = np.repeat(np.arange(ways), count)
        x = torch.from_numpy(tokens.reshape(tasks, ways * count, LENGTH))
        return Examples(x, torch.from_numpy(labels).expand(tasks, -1).clone())


class Phrases(Dataset):
    """Noisy phrases, as token ids."""

    info = DatasetInfo("Noisy phrases", "computed (no data)", "none")
    default_backbone = "lstm"

    def load(self):
        return {split: PhraseSplit(split) for split in SPLITS}


class Recurrent(Backbone):
    """Embeds tokens, reads them one after the other, and returns the last hidden state."""

    example_shapes = ((5,),)

    class Options(Options):
        """Options of the recurrent networks."""

        vocabulary: int = Field(VOCABULARY, ge=2, description="number of tokens")
        width: int = Field(16, ge=1, description="width of the embedding and of the hidden state")

    def features(self, input_shape):
        if len(input_shape) != 1:
            raise ConfigError(f"A sequence of tokens is needed, not an input of shape {list(input_shape)}.")
        return self.network(self.options.vocabulary, self.options.width), self.options.width


class LastState(nn.Module):
    """torch's LSTM."""

    def __init__(self, vocabulary, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)

    def forward(self, x):  # [n, length]
        return self.lstm(self.embedding(x))[0][:, -1]


class Cell(nn.Module):
    """The cell of Hochreiter & Schmidhuber (Neural Computation 9(8), 1997) with a forget gate (Gers et al. 2000)."""

    def __init__(self, vocabulary, width):
        super().__init__()
        self.vocabulary = vocabulary
        self.embedding = nn.Linear(vocabulary, width, bias=False)
        self.from_input, self.from_state = nn.Linear(width, 4 * width), nn.Linear(width, 4 * width, bias=False)

    def forward(self, x):  # [n, length]
        # no one_hot of torch's: inside vmap and grad it looks at the values
        hot = x[..., None] == torch.arange(self.vocabulary, device=x.device)
        gates = self.from_input(self.embedding(hot.to(self.embedding.weight)))
        h = c = gates[:, 0, : gates.shape[-1] // 4] * 0
        for place in range(x.shape[1]):
            i, f, g, o = (gates[:, place] + self.from_state(h)).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h


class LSTM(Recurrent):
    """An LSTM over token ids, by torch's layers."""

    network = LastState


class LSTMByHand(Recurrent):
    """An LSTM over token ids, by matrix products."""

    network = Cell


@mamlbench.hookimpl
def mamlbench_register_datasets(register):
    register("phrases", Phrases, summary="token ids, very many classes")


@mamlbench.hookimpl
def mamlbench_register_backbones(register):
    register("lstm", LSTM, summary="torch's LSTM")
    register("lstm-by-hand", LSTMByHand, summary="an LSTM by matrix products")
