"""``python -m mamlbench``: the same as the program ``mamlbench``."""

from mamlbench.cli.__main__ import entry

if __name__ == "__main__":
    entry()
