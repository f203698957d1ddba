"""The folder that is published: sound records, their models and scores, and a page; the check of a fetched one.

Published is what a record names: its model, the scores of its episodes and hashes of what it was trained on. Images and
checkpoints stay here. What is fetched is data of others: nothing of it is run or unpickled, and only files of these
types, with the recorded SHA-256, are taken.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mamlbench.errors import DataError, NothingToDoError
from mamlbench.record import ResultStore, RunRecord, read_record
from mamlbench.record.file_hashes import file_hash, run_folder, seals_of, state_of_file
from mamlbench.report.hub.model_card import model_card

TYPES = (".json", ".safetensors", ".npz")
"""Suffixes of files that are published and fetched: none of them is read by running code."""
CARD = "README.md"


def stage(paths: Sequence[Path], folder: Path, repository: str) -> list[RunRecord]:
    """Copy finished records and their files into an empty folder, and write the page; return the records.

    Args:
        paths: records.
        folder: empty.
        repository: where it will be published, for the page.

    Raises DataError if a record or a file of it was changed; NothingToDoError if none has finished.
    """
    records, hashes = [], {}
    for path in paths:
        record = read_record(path)
        if record.status != "finished":
            continue
        refuse_changed(path, record)
        records.append(record)
        for name in published_files(record):
            target = folder / record.name / name
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(run_folder(path, record) / name, target)
            hashes[f"{record.name}/{name}"] = file_hash(target)
        shutil.copyfile(path, folder / f"{record.name}.json")
        hashes[f"{record.name}.json"] = file_hash(folder / f"{record.name}.json")
    if not records:
        raise NothingToDoError("There is no finished record to publish.")
    (folder / CARD).write_text(model_card(records, hashes, repository), encoding="utf-8")
    return records


def published_files(record: RunRecord) -> list[str]:
    """Names of the files of a run that are published: no images, no checkpoints."""
    return [name for name in record.files if Path(name).suffix in TYPES and Path(name).name == name]


def refuse_changed(path: Path, record: RunRecord) -> None:
    """Raise DataError, with every problem, if a record has no seal, or it or a file of it is not as it was written."""
    recorded, actual = seals_of(path)
    problems = []
    if not recorded:
        problems.append(f"'{path}' has no SHA-256 of its own: it is of an early release, or was edited.")
    elif recorded != actual:
        problems.append(f"'{path}' was changed after it was written: its SHA-256 differs.")
    for name in published_files(record):
        state = state_of_file(run_folder(path, record) / name, record.files[name])
        if state != "as recorded":
            problems.append(f"'{name}', a file of '{path}', is {state}.")
    if problems:
        raise DataError("\n".join(problems))


def accept(folder: Path, accepted: Path) -> list[RunRecord]:
    """Copy what is sound of a fetched folder into an empty one: records, and the files that they name.

    Raises DataError, with every problem, if a record or a file was changed; NothingToDoError if there is no record.
    """
    records, problems = [], []
    for path in ResultStore(folder).paths():
        try:
            if path.is_symlink() or path.parent != folder:
                continue
            record = read_record(path)
            if record.name != path.stem:
                raise DataError(f"'{path}' is the record of '{record.name}'.")
            refuse_changed(path, record)
        except DataError as error:
            problems.append(str(error))
            continue
        records.append(record)
        files = [run_folder(path, record) / name for name in published_files(record)]
        (accepted / path.stem).mkdir()
        for file in files:
            shutil.copyfile(file, accepted / path.stem / file.name)
        shutil.copyfile(path, accepted / path.name)
    if problems:
        raise DataError("\n".join(problems))
    if not records:
        raise NothingToDoError("There is no record of mamlbench.")
    return records
