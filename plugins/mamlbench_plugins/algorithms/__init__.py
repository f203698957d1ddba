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
    register("r2d2", f"{here}.r2d2:R2D2", summary="ridge regression as the head (Bertinetto et al. 2019)")
    register("metaoptnet", f"{here}.metaoptnet:MetaOptNet", summary="an SVM as the head (Lee et al. 2019)")
    register("boil", f"{here}.boil:BOIL", summary="MAML that adapts all but the head (Oh et al. 2021)")
    register("cavia", f"{here}.cavia:CAVIA", summary="adapts context parameters alone (Zintgraf et al. 2019)")
    register("sign-maml", f"{here}.sign_maml:SignMAML", summary="MAML by the gradients' signs (Fan et al. 2021)")
    register(
        "unicorn-maml", f"{here}.unicorn_maml:UnicornMAML", summary="MAML, one start for all classes (Ye & Chao 2022)"
    )
    register("meta-curvature", f"{here}.meta_curvature:MetaCurvature", summary="learned curvature (Park & Oliva 2019)")
    register("sharp-maml", f"{here}.sharp_maml:SharpMAML", summary="sharpness-aware MAML (Abbas et al. 2022)")
    register("proto-maml", f"{here}.proto_maml:ProtoMAML", summary="MAML from prototypes (Triantafillou et al. 2020)")
    register("meta-baseline", f"{here}.meta_baseline:MetaBaseline", summary="cosines to class means (Chen et al. 2021)")
    register(
        "simpleshot", f"{here}.simpleshot:SimpleShot", summary="pretraining, nearest class mean (Wang et al. 2019)"
    )
    register(
        "matching-networks", f"{here}.matching_networks:MatchingNetworks", summary="attention (Vinyals et al. 2016)"
    )
    register("linear-probe", f"{here}.linear_probe:LinearProbe", summary="pretraining, logistic regression (Tian 2020)")
    register("maml-rl", f"{here}.maml_rl:MAMLRL", summary="MAML with policy gradients (Finn et al. 2017, section 5.3)")
    register("fomaml-rl", f"{here}.maml_rl:FOMAMLRL", summary="its first-order form")
    register("pretrain-rl", f"{here}.maml_rl:PretrainRL", summary="one policy for all tasks, then policy gradients")
    register("logistic", f"{here}.logistic:Logistic", summary="pretraining, logistic regression solved exactly")
    register("nearest-neighbor", f"{here}.nearest_neighbor:NearestNeighbor", summary="the class of the nearest example")
    register("finetune", f"{here}.finetune:FineTune", summary="pretraining, fine-tuning of all layers")
