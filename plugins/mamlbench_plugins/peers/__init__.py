"""Peers that ship with mamlbench. None of them is a dependency: benchmarks/requirements-peers.txt installs them."""

from __future__ import annotations

from mamlbench import hookimpl
from mamlbench.plugin.spec import Register

PEERS = "mamlbench_plugins.peers"


@hookimpl
def mamlbench_register_peers(register: Register) -> None:
    """Register all of them; each is imported when it is used."""
    register("learn2learn", f"{PEERS}.learn2learn:Learn2Learn", summary="learn2learn's MAML class")
    register("higher", f"{PEERS}.higher:Higher", summary="higher's innerloop_ctx")
    register("torchopt", f"{PEERS}.torchopt:TorchOpt", summary="TorchOpt's MetaSGD")
    register("iteryne", f"{PEERS}.iteryne:Iteryne", summary="iteryne's MAML class")
