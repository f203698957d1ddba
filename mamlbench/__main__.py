"""``python -m mamlbench``: the program ``mamlbench``, by a name that torchrun can start."""

from mamlbench.cli.__main__ import entry

if __name__ == "__main__":
    entry()
