"""Built-in networks."""

from mamlbench.api import Register, hookimpl


@hookimpl
def mamlbench_register_backbones(register: Register) -> None:
    """Register the built-in backbones."""
    here = "mamlbench_plugins.backbones"
    register("conv4-strided", f"{here}.conv4:StridedConv4", summary="four strided convolutions, 64 wide")
    register("conv4-pooled", f"{here}.conv4:PooledConv4", summary="four max-pooled convolutions, 32 wide")
    register("mlp", f"{here}.mlp:MLP", summary="fully connected, 256-128-64-64")
    register("resnet12", f"{here}.resnet12:ResNet12", summary="ResNet-12 of the few-shot literature, 64 to 640 wide")
    register("resnet18", f"{here}.torchvision_networks:ResNet18", summary="torchvision's ResNet-18 with a small stem")
    register(
        "frozen",
        f"{here}.frozen:Frozen",
        member="FILE",
        summary="an encoder from weights or a trained model, its features computed once",
    )
    register("vgg16", f"{here}.torchvision_networks:VGG16", summary="torchvision's VGG-16 with batch norm, no dropout")
    register(
        "timm",
        f"{here}.timm_networks:TimmNetworks",
        member="NAME",
        summary="a network of timm, such as timm:resnet18 (extra timm)",
    )
