"""Where records are published: a repository of the Hugging Face Hub, or a folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mamlbench.errors import ConfigError, DataError, MissingDependencyError
from mamlbench.report.hub.staging import CARD, TYPES

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def is_folder(place: str) -> bool:
    """Whether a place is a folder: it begins as a path does, or is none of a repository's names."""
    return place.startswith((".", "/", "~")) or REPOSITORY.fullmatch(place) is None or Path(place).is_absolute()


def upload(folder: Path, place: str, *, private: bool, message: str) -> str:
    """Publish a folder as one commit; return its address. Raises ConfigError or DataError in one sentence."""
    if is_folder(place):
        target = Path(place).expanduser()
        try:
            shutil.copytree(folder, target, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            raise ConfigError(f"'{place}' cannot be written ({error}): choose another with --to.") from error
        return str(target)
    hub = _hub()
    with _explained(place):
        api = hub.HfApi(library_name="mamlbench")
        api.create_repo(place, private=private, exist_ok=True)
        done = api.upload_folder(repo_id=place, folder_path=folder, commit_message=message)
    return str(getattr(done, "commit_url", place))


def download(place: str, folder: Path, revision: str | None) -> Path:
    """Fetch records, models and scores; return the folder that they are in. Raises ConfigError or DataError."""
    if is_folder(place):
        source = Path(place).expanduser()
        if not source.is_dir():
            raise ConfigError(f"There is no folder '{place}', and a repository of the Hub is named OWNER/NAME.")
        return source
    hub, patterns = _hub(), [CARD, *(f"*{suffix}" for suffix in TYPES)]
    with _explained(place):
        hub.snapshot_download(place, revision=revision, local_dir=folder, allow_patterns=patterns)
    return folder


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingDependencyError(
            "The Hugging Face Hub needs a package that is not installed: pip install 'mamlbench[hub]'. "
            "A folder, such as ./published, needs none."
        ) from error
    return huggingface_hub


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Raise the Hub's errors in one sentence, with what can be done."""
    from huggingface_hub import errors

    try:
        yield
    except errors.LocalTokenNotFoundError as error:
        raise ConfigError("The Hub does not know who you are: run 'hf auth login' first.") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ConfigError(
            f"The Hub has no '{place}' that you may see, or no such revision: check the name, or 'hf auth login'."
        ) from error
    except errors.HFValidationError as error:
        raise ConfigError(f"'{place}' is no name of a repository: {str(error).splitlines()[0]}") from error
    except OSError as error:  # the Hub's HTTP errors are OSErrors too
        raise DataError(f"The Hub cannot be reached, or refuses: {str(error).splitlines()[0]}") from error
