"""Built-in methods, one module each (``maml.py``), with their quick and published settings beside (``maml.toml``)."""

from mamlbench.api import Register, hookimpl


@hookimpl
def mamlbench_register_algorithms(register: Register) -> None:
    """Register the built-in algorithms."""
    here = "mamlbench_plugins.algorithms"
    register("maml", f"{here}.maml:MAML", summary="full second-order MAML (Finn et al. 2017)")
    register("fomaml", f"{here}.fomaml:FOMAML", summary="first-order MAML (Finn et al. 2017)")
    register("reptile", f"{here}.reptile:Reptile", summary="Reptile (Nichol et al. 2018)")
    register("pretrain", f"{here}.pretrain:Pretrain", summary="pretraining, then fine-tuning (Chen et al. 2019)")
    register("anil", f"{here}.anil:ANIL", summary="MAML that adapts the head alone (Raghu et al. 2020)")
    register("meta-sgd", f"{here}.meta_sgd:MetaSGD", summary="MAML with a learned rate per weight (Li et al. 2017)")
    register("maml++", f"{here}.maml_plus_plus:MAMLPlusPlus", summary="MAML, stabilized (Antoniou et al. 2019)")
    register("imaml", f"{here}.imaml:IMAML", summary="MAML with implicit gradients (Rajeswaran et al. 2019)")
    register("protonet", f"{here}.protonet:ProtoNet", summary="prototypical networks (Snell et al. 2017)")
    register("baseline++", f"{here}.baseline_plus_plus:BaselinePlusPlus", summary="cosine heads (Chen et al. 2019)")
