"""Your own images: one folder per class, with images of any size and number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from mamlbench.api import (
    SPLITS,
    CachedImages,
    DataError,
    DataPaths,
    Dataset,
    DatasetInfo,
    Fit,
    ImageFormat,
    LocalCopy,
    MissingDataError,
    TaskSplit,
    no_progress,
    summarize_names,
)
from mamlbench_plugins.datasets.archives import Store
from mamlbench_plugins.datasets.folder_files import (
    HELP,
    TABLE,
    FolderTree,
    find_table,
    looks_split,
    open_tree,
    pooled,
    refuse_shared_classes,
    refuse_unusable_splits,
    split_by_seed,
    split_by_table,
    split_groups_by_seed,
)
from mamlbench_plugins.datasets.image_collection import read_collection
from mamlbench_plugins.datasets.image_listing import (
    UNSPLIT,
    ImageListing,
    classes_by_split,
    describe_amount,
)
from mamlbench_plugins.datasets.image_options import ImageOptions
from mamlbench_plugins.datasets.image_tables import TableColumns
from mamlbench_plugins.datasets.published_splits import published_splits, split_as_published

SPLIT_FOLDERS = "folders of splits"
"""Form of a tree whose top folders are splits."""

PREPARATION_VERSION = 2
"""Increase it with every change of the prepared images, so that cached files are made again."""


class FolderOptions(ImageOptions):
    """Folder of the images, split of their classes, and the format that they are converted to."""

    path: str = Field(
        "", description="folder, zip or tar archive of the images below the data folder; empty: the data folder"
    )
    image_size: int = Field(84, ge=8, le=512, description="height and width that images are resized to")
    color: bool = Field(True, description="color, or gray")
    fit: Fit = Field("stretch", description="images that are not square are stretched, or cropped at their center")
    gray_bits: int = Field(
        16, ge=9, le=16, description="bits in use of images of 16 bits per pixel, such as 12 of many microscopes"
    )
    table: str = Field(
        "",
        description="table (CSV) or JSON file of the images and their classes; empty: labels.csv, or one per split "
        "(train.csv, base.json, ...), if there are any; none: folders only",
    )
    file_column: str = Field("", description="table: column of file names; empty: FILE_NAME, filename, image, ...")
    class_column: str = Field("", description="table: column of classes; empty: CATEGORY, label, class, ...")
    group_column: str = Field("", description="table: column of groups; empty: SUPER_CATEGORY, superclass, ...")
    split_by: Literal["folders", "class", "group", "test"] = Field(
        "folders",
        description="folders: as folders of splits or a table say; class: pool all splits and cut by class with "
        "split_seed; group: the same, with classes of one group, top folder or first word of their names in one split; "
        "test: every class in every split, for tests of models that were trained on other data",
    )
    split_file: str = Field(
        "",
        description="class folders: table with the columns class and split, or the name of a published split "
        "(cub-chen2019, ...); empty: split.csv beside them, if any",
    )
    split_seed: int = Field(0, ge=0, description="seed of a split by class names or groups")
    val: float = Field(
        0.16, gt=0, lt=1, description="share of the classes (or groups) for validation in a seeded split"
    )
    test: float = Field(0.2, gt=0, lt=1, description="share of the classes (or groups) for testing in a seeded split")


class Folder(Dataset):
    """Images in folders SPLIT/CLASS, with SPLIT train, val or test or another usual name; or in folders CLASS.

    A table of images (Meta-Album's labels.csv, JSON files base.json, val.json and novel.json, pickles of images and
    labels) takes the place of folders. If splits share classes, ``split_by`` pools them and cuts by class, or by group
    of classes.

    Class folders without splits are split by a table split.csv (columns class and split), or otherwise by a hash of
    class names and a seed, equal on every machine.
    """

    info = DatasetInfo(
        title="A folder of images",
        license="the license of your images",
        citation="none (your own images)",
        publishable=False,
        obtain="name the folder with --data-dir, MAMLBENCH_DATA or data_dir in mamlbench.toml, and a folder "
        f"below it with -o path=NAME. {HELP}",
    )
    Options: ClassVar[type[ImageOptions]] = FolderOptions
    default_backbone: ClassVar[str] = "conv4-pooled"
    options: FolderOptions

    @classmethod
    def find_local_copy(cls, options: FolderOptions, paths: DataPaths) -> LocalCopy | None:
        """Without the option path, the data folder itself counts only if it has train, val and test, or a list."""
        store = _find(options, paths)
        if store is None or not (options.path or looks_split(store.path)):
            return None
        tree = _read(store, options)
        listing = _listing(options, store, tree)
        cached = paths.load_cached("folder", _raw_files(listing, store, tree), _settings(options))
        images = cached or listing.stream(no_progress)
        return LocalCopy(_form(tree), str(store.path), describe_amount(images), None, cached is not None)

    @classmethod
    def refuse_shared_classes(cls, options: FolderOptions, paths: DataPaths) -> None:
        store = _find(options, paths)
        if store is not None and options.split_by == "folders":
            refuse_shared_classes(f"'{store.path}'", _read(store, options).images, options.min_images)

    def load(self) -> Mapping[str, TaskSplit]:
        """Find the images, prepare them once, and split their classes.

        Raises DataError, with what to do, if they are missing or damaged, or cannot be split.
        """
        store = _find(self.options, self.paths)
        if store is None:
            raise _not_found(self.options, self.paths)
        tree = _read(store, self.options)
        if self.options.split_by == "folders":
            refuse_unusable_splits(f"'{store.path}'", tree.images, self.options.min_images)
        listing = _listing(self.options, store, tree)
        cached = self.paths.cached(
            "folder",
            _raw_files(listing, store, tree),
            _settings(self.options),
            lambda: listing.stream(self.paths.progress),
        )
        self.origin, classes = self._split(cached, store, tree)
        self.notes = (*tree.notes, *self.notes)
        self.subset = self.options.left_out_classes(cached, classes)
        return self.options.make_splits(cached, classes)

    def image_format(self) -> ImageFormat:
        return _format(self.options)

    def _split(self, cached: CachedImages, store: Store, tree: FolderTree) -> tuple[str, Mapping[str, Sequence[int]]]:
        """Return how the classes are split, in words, and the classes of each split; note what had to be guessed."""
        form, options = _form(tree), self.options
        if options.split_by == "folders" and _has_splits(tree):
            if options.split_file:
                raise DataError(f"'{store.path}' has {form}: leave out dataset.split_file.")
            return form, classes_by_split(cached)
        if options.split_by == "test":
            return f"{form}, all classes in every split", dict.fromkeys(SPLITS, range(len(cached.class_names)))
        if options.split_by != "folders" and options.split_file:
            raise DataError("dataset.split_by and dataset.split_file contradict each other: leave one of them out.")
        if options.split_file in published_splits():
            return f"{form}, split by {options.split_file}", split_as_published(options.split_file, cached.class_names)
        table = find_table(store, options.split_file) if options.split_by == "folders" else None
        if table is not None:
            return f"{form}, split by {table[0]}", split_by_table(cached.class_names, *table)
        if tree.doubtful:
            raise DataError(
                f"'{store.path}' has folders that may be splits under another name: {summarize_names(tree.doubtful)}. "
                f"Call them train, val and test, or write the split of each class into {TABLE} (columns class and "
                "split)."
            )
        return self._split_by_seed(cached.class_names, store, tree)

    def _split_by_seed(
        self, names: Sequence[str], store: Store, tree: FolderTree
    ) -> tuple[str, Mapping[str, list[int]]]:
        """Split all classes, of whichever split they were, by class or by group."""
        options = self.options
        seeded = options.split_seed, options.val, options.test
        pooled_form = f"{_form(tree)}, pooled and" if _has_splits(tree) else f"{_form(tree)},"
        if options.split_by == "group":
            classes, groups = split_groups_by_seed(names, *seeded, tree.groups)
            self.notes = (f"its {len(names):,} classes are split by {len(groups):,} groups: {summarize_names(groups)}",)
            return (
                f"{pooled_form} split by groups{'' if tree.groups else ' of their names'} (seed {options.split_seed})",
                classes,
            )
        if options.split_by == "folders":
            self.notes = (_guess(store, names, tree),)
        return f"{pooled_form} split by their names (seed {options.split_seed})", split_by_seed(names, *seeded)


def _has_splits(tree: FolderTree) -> bool:
    return all(image.split != UNSPLIT for image in tree.images)


def _form(tree: FolderTree) -> str:
    return tree.origin or (SPLIT_FOLDERS if _has_splits(tree) else "class folders")


def _read(store: Store, options: FolderOptions) -> FolderTree:
    columns = TableColumns(options.file_column, options.class_column, options.group_column)
    return read_collection(store, options.table, columns)


def _raw_files(listing: ImageListing, store: Store, tree: FolderTree) -> list[tuple[str, Path]]:
    """The images, and the lists that say their classes."""
    return [*listing.raw_files(), *(store.raw_files(tree.files) if tree.files else ())]


def _find(options: FolderOptions, paths: DataPaths) -> Store | None:
    stores = (open_tree(folder / Path(options.path).expanduser()) for _, folder in paths.folders)
    return next((store for store in stores if store is not None), None)


def _format(options: FolderOptions) -> ImageFormat:
    return ImageFormat(options.image_size, 3 if options.color else 1, options.fit, gray_bits=options.gray_bits)


def _listing(options: FolderOptions, store: Store, tree: FolderTree) -> ImageListing:
    images = tree.images if options.split_by == "folders" else pooled(tree.images)
    return ImageListing("", images, _format(options), store.path.name)


def _guess(store: Store, names: Sequence[str], tree: FolderTree) -> str:
    if tree.origin:
        split = f"its {len(names):,} classes are split by a hash of their names"
        return f"{tree.origin} in '{store.path}' has no splits: {split}"
    nested = next((name for name in names if "/" in name), None)
    naming = f", named after all folders above the images, such as '{nested}'" if nested else ""
    return (
        f"'{store.path}' has neither folders train, val and test nor a table {TABLE}: its {len(names):,} classes"
        f"{naming} are split by a hash of their names"
    )


def _settings(options: FolderOptions) -> tuple[object, ...]:
    """What the cached images depend on beside the files; not the split by names, which needs no other images."""
    pooling = () if options.split_by == "folders" else ("pooled",)
    table = options.table, options.file_column, options.class_column
    return (PREPARATION_VERSION, _format(options), *pooling, *(table if any(table) else ()))


def _not_found(options: FolderOptions, paths: DataPaths) -> MissingDataError:
    name = f"'{options.path}'" if options.path else "A folder of images"
    searched = (
        summarize_names([f"'{path}' ({reason})" for reason, path in paths.folders])
        or "no folder, because none was named"
    )
    return MissingDataError(
        f"{name} was not found in {searched}. Name the folder with --data-dir, MAMLBENCH_DATA or data_dir in "
        f"mamlbench.toml, and a folder below it with -o dataset.path=NAME. {HELP}"
    )
