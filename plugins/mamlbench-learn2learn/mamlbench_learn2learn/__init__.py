"""learn2learn as a peer: its classes as algorithms of mamlbench, its task sets as a sampler."""

import mamlbench


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):  # type: ignore[no-untyped-def]
    """Register learn2learn's algorithms. Nothing is imported before one of them is used."""
    here = "mamlbench_learn2learn"
    register("l2l-maml", f"{here}.gradient:Learn2LearnMAML", summary="learn2learn's MAML, second order")
    register("l2l-fomaml", f"{here}.gradient:Learn2LearnFOMAML", summary="learn2learn's MAML, first order")
    register("l2l-metasgd", f"{here}.gradient:Learn2LearnMetaSGD", summary="learn2learn's Meta-SGD")
    register("l2l-anil", f"{here}.gradient:Learn2LearnANIL", summary="learn2learn's ANIL: its MAML around the head")
    register("l2l-reptile", f"{here}.reptile:Learn2LearnReptile", summary="Reptile on learn2learn's module utilities")


@mamlbench.hookimpl
def mamlbench_register_samplers(register):  # type: ignore[no-untyped-def]
    """Register its task sets."""
    register("l2l-tasks", "mamlbench_learn2learn.task_sets:TaskSets", summary="training tasks by learn2learn's Taskset")
