"""Built-in algorithms."""

from mamlbench import hookimpl
from mamlbench.plugin.spec import Register


@hookimpl
def mamlbench_register_algorithms(register: Register) -> None:
    """Register the built-in algorithms."""
    here = "mamlbench_plugins.algorithms"
    register("maml", f"{here}.maml:MAML", summary="full second-order MAML (Finn et al. 2017)")
    register("fomaml", f"{here}.fomaml:FOMAML", summary="first-order MAML (Finn et al. 2017)")
    register("reptile", f"{here}.reptile:Reptile", summary="Reptile (Nichol et al. 2018)")
    register("pretrain", f"{here}.pretrain:Pretrain", summary="pretraining, then fine-tuning (Chen et al. 2019)")
