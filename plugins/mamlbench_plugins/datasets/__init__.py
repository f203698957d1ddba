"""Built-in data sets."""

from mamlbench.api import Register, hookimpl


@hookimpl
def mamlbench_register_datasets(register: Register) -> None:
    """Register the built-in data sets."""
    here = "mamlbench_plugins.datasets"
    register("omniglot", f"{here}.omniglot:Omniglot", summary="1,623 handwritten characters of 50 alphabets")
    register(
        "glyphs",
        f"{here}.glyphs:Glyphs",
        summary="printed characters of five scripts, drawn by the program, no files needed (default)",
    )
    register("miniimagenet", f"{here}.miniimagenet:MiniImageNet", summary="photographs of 100 classes, 84 x 84")
    register("cifar-fs", f"{here}.cifar:CIFARFS", summary="CIFAR-100 split at random by class, 32 x 32")
    register("fc100", f"{here}.cifar:FC100", summary="CIFAR-100 split by superclass, 32 x 32")
    register("folder", f"{here}.folder:Folder", summary="your own images, a folder for each class")
    register(
        "torchvision",
        f"{here}.torchvision_images:TorchvisionImages",
        member="NAME",
        summary="a classification data set of torchvision.datasets, such as torchvision:EuroSAT",
    )
    register(
        "hf",
        f"{here}.hugging_face_images:HuggingFaceImages",
        member="NAME",
        summary="an image data set of Hugging Face datasets, from a folder, its cache or a download (extra hf)",
    )
    register("sinusoid", f"{here}.sinusoid:Sinusoid", summary="regression on sine waves of random amplitude and phase")
    register("navigation", f"{here}.environment_tasks:NavigationTasks", summary="reinforcement: a point seeks a goal")
    register(
        "gym",
        f"{here}.gym_tasks:GymTasks",
        member="NAME",
        summary="reinforcement: a Gymnasium environment with varied attributes, such as gym:Pendulum-v1 (extra gym)",
    )
    register("bandits", f"{here}.environment_tasks:BanditTasks", summary="reinforcement: arms with unknown chances")
