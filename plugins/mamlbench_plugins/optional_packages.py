"""Packages in this repository that mamlbench does not install: their names, so that an error says how to get them."""

from mamlbench.api import RegisterOptionalPackage, hookimpl

LEARN2LEARN = "l2l-maml", "l2l-fomaml", "l2l-metasgd", "l2l-anil", "l2l-reptile", "l2l-tasks"
INSTALL_LEARN2LEARN = """It comes with mamlbench-learn2learn, a package in mamlbench's repository. In a clone:
pip install ./plugins/mamlbench-learn2learn
pip install --no-deps -r plugins/mamlbench-learn2learn/requirements.txt"""
PEERS = "learn2learn", "higher", "torchopt", "iteryne"
INSTALL_PEERS = """It is a peer of mamlbench-peers, a package in mamlbench's repository. In a clone:
pip install ./plugins/mamlbench-peers
pip install -r plugins/mamlbench-peers/requirements.txt"""


@hookimpl
def mamlbench_optional_packages(register: RegisterOptionalPackage) -> None:
    """Declare what mamlbench-learn2learn and mamlbench-peers register."""
    register(*LEARN2LEARN, install=INSTALL_LEARN2LEARN)
    register(*PEERS, install=INSTALL_PEERS)
