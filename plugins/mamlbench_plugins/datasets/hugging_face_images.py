"""``hf:NAME``: image data sets of Hugging Face ``datasets``, from its cache, a folder or a download."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from PIL import Image
from pydantic import Field

from mamlbench.api import DataError, DataPaths, DatasetInfo, summarize_names
from mamlbench.errors import MissingDependencyError
from mamlbench_plugins.datasets.image_options import ImageOptions
from mamlbench_plugins.datasets.library_images import LibraryImages, LibraryItems, LibraryOptions


class HuggingFaceOptions(LibraryOptions):
    """Columns of images and classes, and the split of the classes."""

    config: str = Field("", description="configuration of the data set, if it has several")
    image_column: str = Field("", description="column of images; empty: the only one of that type")
    label_column: str = Field("", description="column of classes; empty: the only one of the type ClassLabel, or label")


class HuggingFaceImages(LibraryImages):
    """An image data set of Hugging Face ``datasets``: a name on the Hub, or of a folder below ``--data-dir``.

    A folder is one that ``save_to_disk`` wrote, or of Parquet files. Without it, the library's own cache and then, if
    downloads are allowed, the Hub are asked. Its parts (train, test, ...) are pooled, and classes are split.
    """

    info = DatasetInfo(
        title="A data set of the Hugging Face Hub",
        license="see its page on the Hub",
        citation="see its page on the Hub",
        publishable=False,
        homepage="https://huggingface.co/datasets",
        obtain="name the folder that holds it with --data-dir, or let the first run download it",
    )
    Options: ClassVar[type[ImageOptions]] = HuggingFaceOptions
    library: ClassVar[str] = "hf"

    @classmethod
    def of(cls, member: str) -> type[Self]:
        if find_spec("datasets") is None:
            raise MissingDependencyError("it needs the library datasets: pip install 'mamlbench[hf]'.")
        return super().of(member)

    @classmethod
    def find_items(cls, options: Any, paths: DataPaths, *, download: bool) -> LibraryItems | None:
        title = f"hf:{cls.member}"
        for _, folder in paths.folders:
            if (folder / cls.member).is_dir():
                return _items(_from_folder(folder / cls.member), options, title, str(folder / cls.member))
        parts = _from_hub(cls.member, options.config or None, download=download)
        return None if parts is None else _items(parts, options, title, "the cache of the library datasets")


def _from_folder(folder: Path) -> Mapping[str, Any]:
    import datasets  # takes seconds

    if any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        loaded = datasets.load_from_disk(str(folder))
        return loaded if isinstance(loaded, datasets.DatasetDict) else {"all": loaded}
    try:
        return datasets.load_dataset(str(folder))  # type: ignore[no-any-return]
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"'{folder}' is no data set that the library datasets reads: {_first_line(error)}") from error


def _from_hub(name: str, config: str | None, *, download: bool) -> Mapping[str, Any] | None:
    import datasets  # takes seconds

    only_local = datasets.DownloadConfig(local_files_only=not download)
    try:
        return datasets.load_dataset(name, config, download_config=only_local)  # type: ignore[no-any-return]
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        if isinstance(error, ValueError) and "onfig" in str(error):
            raise DataError(f"hf:{name}: {_first_line(error)} Choose one with -o dataset.config=NAME.") from error
        return None


def _items(parts: Mapping[str, Any], options: HuggingFaceOptions, title: str, location: str) -> LibraryItems:
    """All images of all parts, in order. Raises DataError if there is no column of images or classes."""
    import datasets  # takes seconds

    first = next(iter(parts.values()))
    of_images = ColumnRule("image_column", datasets.Image, ("image", "img"))
    of_labels = ColumnRule("label_column", datasets.ClassLabel, ("label", "class"))
    image = _column(first.features, options.image_column, of_images, title)
    label = _column(first.features, options.label_column, of_labels, title)
    joined = datasets.concatenate_datasets([part.select_columns([image, label]) for part in parts.values()])
    names = getattr(first.features[label], "names", None)
    labels = [str(names[value]) if names else str(value) for value in joined[label][:]]

    def read(number: int) -> Image.Image:
        content = joined[number][image]
        if not isinstance(content, Image.Image):
            raise DataError(f"{title}: the column '{image}' has no images but {type(content).__name__}.")
        return content

    version = tuple(part._fingerprint for part in parts.values())
    return LibraryItems(labels, read, location, (), (*version, image, label))


class ColumnRule(NamedTuple):
    """How a column is found: the option that names it, its type, and usual names."""

    option: str
    kind: type
    usual: tuple[str, ...]


def _column(features: Mapping[str, Any], chosen: str, rule: ColumnRule, title: str) -> str:
    """The column that the user chose, the only one of a type, or the first with a usual name."""
    of_kind = [name for name, feature in features.items() if isinstance(feature, rule.kind)]
    named = [name for name in rule.usual if name in features]
    if chosen in features:
        return chosen
    if not chosen and len(of_kind) == 1:
        return of_kind[0]
    if not chosen and not of_kind and named:
        return named[0]
    problem = f"has no column '{chosen}'" if chosen else f"has {len(of_kind)} columns of the type {rule.kind.__name__}"
    raise DataError(
        f"{title} {problem}: choose one with -o dataset.{rule.option}=NAME. Its columns: {summarize_names(features)}."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
