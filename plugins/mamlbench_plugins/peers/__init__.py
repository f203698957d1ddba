"""Built-in peers. None of them is a dependency: benchmarks/requirements-peers.txt installs them."""

from __future__ import annotations

from mamlbench.api import Register, RegisterOptionalPackage, hookimpl

PEERS = "mamlbench_plugins.peers"
LEARN2LEARN = "l2l-maml", "l2l-fomaml", "l2l-metasgd", "l2l-anil", "l2l-reptile", "l2l-tasks"
INSTALL_LEARN2LEARN = """It comes with mamlbench-learn2learn, a package in mamlbench's repository. In a clone:
pip install ./plugins/mamlbench-learn2learn
pip install --no-deps -r plugins/mamlbench-learn2learn/requirements.txt"""


@hookimpl
def mamlbench_register_peers(register: Register) -> None:
    """Register the built-in peers."""
    register("learn2learn", f"{PEERS}.learn2learn:Learn2Learn", summary="learn2learn's MAML class")
    register("higher", f"{PEERS}.higher:Higher", summary="higher's innerloop_ctx")
    register("torchopt", f"{PEERS}.torchopt:TorchOpt", summary="TorchOpt's MetaSGD")
    register("iteryne", f"{PEERS}.iteryne:Iteryne", summary="iteryne's MAML class")


@hookimpl
def mamlbench_optional_packages(register: RegisterOptionalPackage) -> None:
    """Declare the algorithms and the sampler of the package mamlbench-learn2learn."""
    register(*LEARN2LEARN, install=INSTALL_LEARN2LEARN)
