"""Sample episodes on the page: read from the runs' artifacts, shown if the data set's license allows it."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mamlbench.record import RunRecord
from mamlbench.record.sample_sheet import SAMPLES, TEXT_KEY, SampleEpisode, Samples
from mamlbench.report.figures.view import View

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_BYTES = 2 * 1024**2
MAX_PIXELS = 4_000_000


@dataclass(frozen=True)
class Predictions:
    """Predicted labels of one row's network for the queries of one episode, before and after adaptation."""

    label: str
    before: list[int] | None
    after: list[int]


@dataclass(frozen=True)
class ShownEpisode:
    """One line of the sheet, and every row's predictions."""

    line: int
    facts: SampleEpisode
    predictions: list[Predictions]


@dataclass(frozen=True)
class Gallery:
    """Sample episodes shared by several rows, with the sheet of their images."""

    sheet: Markup
    """A PNG as a data URL."""
    columns: int
    lines: int
    ratio: float
    """Width of an image divided by its height."""
    mode: str
    episodes: list[ShownEpisode]


@dataclass(frozen=True)
class _Sheet:
    samples: Samples
    png: bytes
    width: int
    height: int

    @property
    def columns(self) -> int:
        first = self.samples.episodes[0]
        return len(first.support) + len(first.query)

    @property
    def key(self) -> str:
        """Hash of what must be equal for two rows to share the same images."""
        truth = [(episode.number, episode.support, episode.query) for episode in self.samples.episodes]
        return hashlib.sha256(self.png + repr((truth, self.samples.mode)).encode()).hexdigest()


def gallery(view: View, file_of: dict[int, Path], *, private: bool) -> tuple[Gallery | None, str]:
    """Return the sample episodes of a view's rows, and a remark if some are not shown."""
    sheets: list[tuple[str, _Sheet]] = []
    hidden = ""
    for row, label in zip(view.rows, view.labels, strict=True):
        run = next((run for run in row.seed_runs if _artifact(run, file_of) is not None), None)
        path = _artifact(run, file_of) if run is not None else None
        if run is None or path is None:
            continue
        if not private and (run.data is None or not run.data.publishable):
            hidden = _license_remark(run)
            continue
        sheet = _read(path)
        if sheet is not None:
            sheets.append((label, sheet))
    if not sheets:
        return None, hidden
    first = sheets[0][1]
    same_images = [(label, sheet) for label, sheet in sheets if sheet.key == first.key]
    all_same = same_images == sheets
    remark = "" if all_same else f"Sample episodes are those of {same_images[0][0]}. Other rows saved different images."
    return _gallery(first, same_images), remark


def _license_remark(run: RunRecord) -> str:
    license = run.data.license if run.data else "unknown"
    return (
        f"Sample episodes are not shown: the license of {run.spec.dataset.name} ({license}) does not allow publishing "
        "its images. For a private page, use --private."
    )


def _artifact(run: RunRecord, file_of: dict[int, Path]) -> Path | None:
    file = file_of.get(id(run))
    path = file.with_suffix("") / SAMPLES if file is not None else None
    return path if path is not None and path.is_file() else None


def _gallery(first: _Sheet, sheets: list[tuple[str, _Sheet]]) -> Gallery:
    from markupsafe import Markup

    episodes = []
    for line, facts in enumerate(first.samples.episodes):
        predictions = []
        for label, sheet in sheets:
            episode = sheet.samples.episodes[line]
            predictions.append(Predictions(label, episode.before, episode.after))
        episodes.append(ShownEpisode(line, facts, predictions))
    lines = len(episodes)
    return Gallery(
        sheet=Markup("data:image/png;base64," + base64.b64encode(first.png).decode()),
        columns=first.columns,
        lines=lines,
        ratio=round((first.width / first.columns) / (first.height / lines), 4),
        mode=first.samples.mode,
        episodes=episodes,
    )


def _read(path: Path) -> _Sheet | None:
    """Read and re-encode a sheet; None if it is damaged or does not describe its images, or without Pillow.

    The file may be untrusted: only its pixels and its validated text reach the page.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError:  # mamlbench-reader leaves it out, and 'report' says so
        return None

    # Pillow raises any of these for damaged files; pydantic's error is a ValueError.
    damage = (OSError, ValueError, KeyError, SyntaxError, Warning)
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path, formats=("PNG",)) as image:
                if image.width * image.height > MAX_PIXELS:
                    return None
                samples = Samples.model_validate_json(getattr(image, "text", {})[TEXT_KEY])
                pixels = image.convert("L" if image.mode == "L" else "RGB")
    except damage:
        return None
    buffer = io.BytesIO()
    pixels.save(buffer, "PNG", optimize=True)
    sheet = _Sheet(samples, buffer.getvalue(), pixels.width, pixels.height)
    return sheet if _is_consistent(sheet) else None


def _is_consistent(sheet: _Sheet) -> bool:
    """Return whether the text describes the image: equal lines, and a prediction for every query."""
    for episode in sheet.samples.episodes:
        lengths = {len(labels) for labels in (episode.before, episode.after) if labels is not None}
        if len(episode.support) + len(episode.query) != sheet.columns or lengths != {len(episode.query)}:
            return False
    return sheet.width % sheet.columns == 0 and sheet.height % len(sheet.samples.episodes) == 0
