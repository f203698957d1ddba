"""The classes of CIFAR-100, and the two few-shot splits CIFAR-FS and FC100.

Superclasses: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. CIFAR-FS: Bertinetto et al.,
"Meta-learning with differentiable closed-form solvers", ICLR 2019. FC100: Oreshkin et al., "TADAM: Task dependent
adaptive metric for improved few-shot learning", NeurIPS 2018.
"""

IMAGES_PER_CLASS = 600
"""500 images in the file train and 100 in the file test."""

SUPERCLASSES = {
    name: tuple(classes.split())
    for name, classes in {
        "aquatic_mammals": "beaver dolphin otter seal whale",
        "fish": "aquarium_fish flatfish ray shark trout",
        "flowers": "orchid poppy rose sunflower tulip",
        "food_containers": "bottle bowl can cup plate",
        "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
        "household_electrical_devices": "clock keyboard lamp telephone television",
        "household_furniture": "bed chair couch table wardrobe",
        "insects": "bee beetle butterfly caterpillar cockroach",
        "large_carnivores": "bear leopard lion tiger wolf",
        "large_man-made_outdoor_things": "bridge castle house road skyscraper",
        "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
        "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
        "medium_mammals": "fox porcupine possum raccoon skunk",
        "non-insect_invertebrates": "crab lobster snail spider worm",
        "people": "baby boy girl man woman",
        "reptiles": "crocodile dinosaur lizard snake turtle",
        "small_mammals": "hamster mouse rabbit shrew squirrel",
        "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
        "vehicles_1": "bicycle bus motorcycle pickup_truck train",
        "vehicles_2": "lawn_mower rocket streetcar tank tractor",
    }.items()
}

_FS_TRAIN = """
apple aquarium_fish bear bee bottle bowl boy bridge bus can castle caterpillar chair clock cloud cockroach couch
cup dinosaur dolphin elephant forest girl hamster house kangaroo keyboard lawn_mower lion lizard lobster
mountain mouse mushroom oak_tree orange orchid palm_tree pear pine_tree plate porcupine possum rabbit raccoon
ray road seal shrew skunk skyscraper snake spider squirrel streetcar sunflower tank tiger train trout tulip
turtle willow_tree wolf
"""

_FS_VAL = """
beaver beetle butterfly camel cattle crab crocodile flatfish lamp maple_tree motorcycle otter sea shark
television tractor
"""

_FS_TEST = """
baby bed bicycle chimpanzee fox leopard man pickup_truck plain poppy rocket rose snail sweet_pepper table
telephone wardrobe whale woman worm
"""

CIFAR_FS = {"train": tuple(_FS_TRAIN.split()), "val": tuple(_FS_VAL.split()), "test": tuple(_FS_TEST.split())}

FC100_VAL = ("large_carnivores", "large_omnivores_and_herbivores", "non-insect_invertebrates", "small_mammals")
FC100_TEST = ("aquatic_mammals", "insects", "medium_mammals", "people")
FC100_TRAIN = tuple(name for name in SUPERCLASSES if name not in {*FC100_VAL, *FC100_TEST})

FC100 = {
    split: tuple(sorted(name for superclass in superclasses for name in SUPERCLASSES[superclass]))
    for split, superclasses in {"train": FC100_TRAIN, "val": FC100_VAL, "test": FC100_TEST}.items()
}
