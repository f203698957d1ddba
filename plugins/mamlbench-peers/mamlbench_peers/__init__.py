"""Peers for ``mamlbench bench --peer NAME``: other libraries' MAML, timed beside mamlbench's own."""

import mamlbench


@mamlbench.hookimpl
def mamlbench_register_peers(register):  # type: ignore[no-untyped-def]
    """Register the peers. No library is imported before its peer is timed."""
    here = "mamlbench_peers"
    register("learn2learn", f"{here}.learn2learn:Learn2Learn", summary="learn2learn's MAML class")
    register("higher", f"{here}.higher:Higher", summary="higher's innerloop_ctx")
    register("torchopt", f"{here}.torchopt:TorchOpt", summary="TorchOpt's MetaSGD")
    register("iteryne", f"{here}.iteryne:Iteryne", summary="iteryne's MAML class")
