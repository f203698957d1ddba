"""``torchvision:NAME`` and ``hf:NAME`` on synthetic files of the same form, and published splits."""

import numpy as np
import pytest
import torchvision.datasets
from toy_folder import ALL, image, write

from mamlbench.api import SPLITS, DataPaths
from mamlbench.errors import ConfigError, DataError, ExitCode, MissingDataError, MissingDependencyError
from mamlbench.plugin import load_plugins
from mamlbench_plugins.datasets.folder import Folder
from mamlbench_plugins.datasets.library_images import LibraryItems, stream
from mamlbench_plugins.datasets.published_splits import published_splits, split_classes
from mamlbench_plugins.datasets.torchvision_images import PARTS, TorchvisionImages

TEN = tuple(f"class{number}" for number in range(10))


def paths(folder, *, download=False):
    return DataPaths((("--data-dir", folder),), folder.parent / "cache", download)


def load(name, folder, **options):
    plugin = load_plugins().registry.load("dataset", name)
    return plugin(plugin.Options.model_validate({"image_size": 16, **options}), paths(folder))


def eurosat(root, classes=ALL):
    for name in classes:
        write(root / "eurosat" / "2750" / name, name)
    return root


def aircraft(root, classes=TEN):
    folder = root / "fgvc-aircraft-2013b" / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "variants.txt").write_text("\n".join(classes) + "\n")
    for part, number in (("train", 0), ("val", 1), ("test", 2)):
        lines = []
        for label, name in enumerate(classes):
            file = f"{label}{number}"
            image(file).save(folder / "images" / f"{file}.jpg")
            lines.append(f"{file} {name}")
        (folder / f"images_variant_{part}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def dataset_of_the_hub(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"pixels": datasets.Image(), "kind": datasets.ClassLabel(names=list(ALL)), "n": datasets.Value("int64")}
    )
    parts = {}
    for part in ("train", "test"):
        rows = [(image(f"{name}{part}"), number) for number, name in enumerate(ALL) for _ in range(2)]
        content = {"pixels": [row[0] for row in rows], "kind": [row[1] for row in rows], "n": list(range(len(rows)))}
        parts[part] = datasets.Dataset.from_dict(content, features=features)
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "data" / "mine"))
    return tmp_path / "data"


def test_every_name_is_a_class_of_torchvision_and_takes_its_parts():
    import inspect

    for name, parts in PARTS.items():
        parameters = inspect.signature(getattr(torchvision.datasets, name)).parameters
        taken = {*parameters, *(("train",) if "kwargs" in parameters else ())}
        assert all(set(part) <= taken for part in parts), name


@pytest.mark.usefixtures("settled")
def test_class_folders_of_torchvision(tmp_path):
    dataset = load("torchvision:EuroSAT", eurosat(tmp_path / "data"))
    names = [name for split in SPLITS for name in dataset.splits[split].class_names]
    assert sorted(names) == list(ALL) and all(len(dataset.splits[split].class_names) >= 1 for split in SPLITS)
    assert dataset.origin == "torchvision's EuroSAT, split by class (seed 0)"
    copy = type(dataset).find_local_copy(dataset.options, dataset.paths)
    assert copy.prepared and copy.amount == "21 images of 7 classes"
    other = load("torchvision:EuroSAT", tmp_path / "data", split_seed=3)
    assert other.splits["train"].class_names != dataset.splits["train"].class_names


def test_parts_are_pooled_and_files_are_the_identity(tmp_path):
    dataset = load("torchvision:FGVCAircraft", aircraft(tmp_path / "data"))
    assert sorted(dataset.splits["train"].sizes) == [3] * len(dataset.splits["train"].class_names)
    assert load("torchvision:FGVCAircraft", tmp_path / "data").content_hash == dataset.content_hash
    image("another").save(tmp_path / "data" / "fgvc-aircraft-2013b" / "data" / "images" / "00.jpg")
    assert load("torchvision:FGVCAircraft", tmp_path / "data").content_hash != dataset.content_hash


def test_classes_may_be_split_by_a_table_or_all_be_for_tests(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("class,split\n" + "".join(f"{name},{SPLITS[i % 3]}\n" for i, name in enumerate(ALL)))
    dataset = load("torchvision:EuroSAT", eurosat(tmp_path / "data"), split_file=str(table))
    assert dataset.splits["test"].class_names == tuple(ALL[2::3])
    everything = load("torchvision:EuroSAT", tmp_path / "data", split_by="test")
    assert everything.splits["test"].class_names == ALL and "all classes in every split" in everything.origin
    with pytest.raises(DataError, match=r"neither a table that can be read .* Did you mean 'cub-chen2019'\?"):
        load("torchvision:EuroSAT", tmp_path / "data", split_file="cub-chen2091")


def test_data_in_memory_are_identified_by_their_content(tmp_path, monkeypatch):
    class InMemory:
        """As CIFAR10 is, without files that torchvision checks."""

        classes = ALL

        def __init__(self, root, train):
            random = np.random.default_rng(int(train) + InMemory.seed)
            self.data = random.integers(0, 255, (14, 8, 8, 3), dtype=np.uint8)
            self.targets = list(range(7)) * 2

        def __len__(self):
            return len(self.data)

        def __getitem__(self, number):
            from PIL import Image

            return Image.fromarray(self.data[number]), self.targets[number]

    InMemory.seed = 0
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", InMemory)
    (tmp_path / "data").mkdir()
    dataset = load("torchvision:CIFAR10", tmp_path / "data")
    assert sum(len(dataset.splits[split].rows) for split in SPLITS) == 28
    assert load("torchvision:CIFAR10", tmp_path / "data").content_hash == dataset.content_hash
    InMemory.seed = 5
    assert load("torchvision:CIFAR10", tmp_path / "data").content_hash != dataset.content_hash


def test_what_is_missing_or_misspelled_is_explained(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    with pytest.raises(MissingDataError, match=r"torchvision:EuroSAT was not found in .*--data-dir"):
        load("torchvision:EuroSAT", tmp_path / "data")
    with pytest.raises(ConfigError, match=r"Did you mean 'EuroSAT'\?"):
        load("torchvision:eurosat", tmp_path / "data")

    def fails(root, download=False):
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets, "EuroSAT", fails)
    with pytest.raises(MissingDataError, match=r"downloading it failed \(no network\)"):
        TorchvisionImages.of("EuroSAT").find_items(None, paths(tmp_path / "data", download=True), download=True)


def test_columns_of_the_hub_are_found_by_their_type(dataset_of_the_hub):
    dataset = load("hf:mine", dataset_of_the_hub)
    names = sorted(name for split in SPLITS for name in dataset.splits[split].class_names)
    assert names == list(ALL) and dataset.splits["test"].sizes.tolist() == [4] * dataset.splits["test"].size
    assert load("hf:mine", dataset_of_the_hub).content_hash == dataset.content_hash
    with pytest.raises(DataError, match=r"hf:mine has no column 'hue'.*dataset.label_column=NAME.*pixels, kind, n"):
        load("hf:mine", dataset_of_the_hub, label_column="hue")
    with pytest.raises(DataError, match="the column 'n' has no images but int"):
        load("hf:mine", dataset_of_the_hub, image_column="n")


def test_the_hub_is_not_asked_if_downloads_are_not_allowed(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def load_dataset(name, config=None, download_config=None):
        asked.append((name, download_config.local_files_only))
        raise FileNotFoundError("not in the cache")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    (tmp_path / "data").mkdir()
    with pytest.raises(MissingDataError, match="hf:someone/birds was not found"):
        load("hf:someone/birds", tmp_path / "data")
    assert asked == [("someone/birds", True)]


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr("mamlbench_plugins.datasets.hugging_face_images.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mamlbench\[hf\]'"):
        load_plugins().registry.load("dataset", "hf:any")


def test_damaged_images_are_named():
    def read(number):
        if number % 2:
            raise OSError("truncated")
        return image("x")

    from mamlbench.api import DamagedImagesError, ImageFormat, no_progress

    items = LibraryItems(["a", "b", "a", "b"], read, "here")
    with pytest.raises(DamagedImagesError, match=r"2 damaged images: image 1 \(truncated\), image 3"):
        list(stream(items, ImageFormat(8), "x", no_progress).images)


# ------------------------------------------------------------------------------------------------- published splits

FULL = {
    "cub-chen2019": [f"{number:03}.Bird_{number}" for number in range(1, 201)],
    "cub-meta-dataset": [f"{number:03}.Bird_{number}" for number in range(1, 201)],
    "flowers-meta-dataset": list(torchvision.datasets.Flowers102.classes),
}
SIZES = {
    "aircraft-meta-dataset": (15, 15),
    "cub-chen2019": (50, 50),
    "cub-meta-dataset": (30, 30),
    "dtd-meta-dataset": (7, 7),
    "flowers-meta-dataset": (15, 16),
}


@pytest.mark.parametrize("name", sorted(SIZES))
def test_published_splits_have_the_published_sizes(name):
    published = published_splits()[name]
    listed = [str(entry) for split in SPLITS[1:] for entry in published[split]]
    others = [f"another {number}" for number in range(published["classes"] - len(listed))]
    classes = FULL.get(name, [*listed, *others])
    split = split_classes(name, classes)
    assert (len(split["val"]), len(split["test"])) == SIZES[name]
    assert sorted(split["train"] + split["val"] + split["test"]) == list(range(published["classes"])) and set(
        published_splits()
    ) == set(SIZES)
    with pytest.raises(DataError, match=r"of them are not among these 3: "):
        split_classes(name, ["a", "b", "c"])


def test_a_folder_may_be_split_as_published(tmp_path):
    for number in range(1, 201):
        write(tmp_path / "CUB" / f"{number:03}.Bird_{number}", "x", 1)
    options = Folder.Options.model_validate({"image_size": 8, "split_file": "cub-chen2019"})
    dataset = Folder(options, paths(tmp_path / "CUB"))
    assert [dataset.splits[split].size for split in SPLITS] == [100, 50, 50]
    assert dataset.splits["test"].class_names[0] == "004.Bird_4" and "split by cub-chen2019" in dataset.origin


def test_a_run_and_a_test_on_other_data_through_the_command_line(project):
    eurosat(project.path / "data")
    common = ("--data-dir", "data", "--queries", "1", "--test-episodes", "2", "--device", "cpu")
    arguments = (
        "run",
        "--algo",
        "protonet",
        "--dataset",
        "torchvision:EuroSAT",
        "--ways",
        "2",
        "--iterations",
        "1",
        "-q",
    )
    options = (
        "-o",
        "dataset.image_size=16",
        "-o",
        "dataset.val=0.3",
        "-o",
        "dataset.test=0.3",
        "-o",
        "backbone.width=4",
    )
    project.run(*arguments, *common, *options, "--meta-batch-size", "2", "--validation-episodes", "2")
    (record,) = project.records()
    assert record.spec.dataset.name == "torchvision:EuroSAT" and record.data.origin.startswith("torchvision's EuroSAT")
    (path,) = (project.path / "results").glob("torchvision_EuroSAT-*.json")
    wrong = project.run(*arguments, *common, *options, "-o", "dataset.split_by=test", expect=ExitCode.USAGE)
    assert "share" in wrong.err
    aircraft(project.path / "data")
    tested = ("--dataset", "torchvision:FGVCAircraft", "-o", "dataset.split_by=test", "-o", "dataset.image_size=16")
    shown = project.run("evaluate", str(path), *common, *tested, "--json").json()
    assert shown["seen"]["answer"] == "not seen"
