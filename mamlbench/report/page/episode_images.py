"""Sample episodes on the page: read from the runs' artifacts, shown where the data set's license allows it."""

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

LARGEST_BYTES = 2 * 1024**2
LARGEST_PIXELS = 4_000_000


@dataclass(frozen=True)
class Answer:
    """What one row's network said to the queries of one episode."""

    label: str
    before: list[int] | None
    after: list[int]


@dataclass(frozen=True)
class ShownEpisode:
    """One line of the sheet, and every row's answers."""

    line: int
    facts: SampleEpisode
    answers: list[Answer]


@dataclass(frozen=True)
class Gallery:
    """Episodes that several rows were tested on, with the sheet of their images."""

    sheet: Markup
    """A PNG as a data address."""
    columns: int
    lines: int
    ratio: float
    """Width of an image by its height."""
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
        """What must be equal for two rows to stand below the same images."""
        truth = [(each.number, each.support, each.query) for each in self.samples.episodes]
        return hashlib.sha256(self.png + repr((truth, self.samples.mode)).encode()).hexdigest()


def gallery(view: View, file_of: dict[int, Path], *, private: bool) -> tuple[Gallery | None, str]:
    """Sample episodes of a view's rows, and what to tell a reader where some are not shown."""
    found: list[tuple[str, _Sheet]] = []
    hidden = ""
    for row, label in zip(view.rows, view.labels, strict=True):
        run = next((run for run in row.seeds if _artifact(run, file_of) is not None), None)
        path = _artifact(run, file_of) if run is not None else None
        if run is None or path is None:
            continue
        if not private and (run.data is None or not run.data.publishable):
            license = run.data.license if run.data else "unknown"
            hidden = (
                f"Sample episodes are not shown: the license of {run.spec.dataset.name} ({license}) does not allow its "
                "images on a published page. On a page for yourself alone, --private shows them."
            )
            continue
        sheet = _read(path)
        if sheet is not None:
            found.append((label, sheet))
    if not found:
        return None, hidden
    first = found[0][1]
    alike = [(label, sheet) for label, sheet in found if sheet.key == first.key]
    left_out = f"Sample episodes are those of {alike[0][0]}; other rows kept other images." if alike != found else ""
    return _gallery(first, alike), left_out


def _artifact(run: RunRecord, file_of: dict[int, Path]) -> Path | None:
    file = file_of.get(id(run))
    path = file.with_suffix("") / SAMPLES if file is not None else None
    return path if path is not None and path.is_file() else None


def _gallery(first: _Sheet, alike: list[tuple[str, _Sheet]]) -> Gallery:
    from markupsafe import Markup

    episodes = [
        ShownEpisode(
            line,
            facts,
            [
                Answer(label, each.before, each.after)
                for label, sheet in alike
                for each in [sheet.samples.episodes[line]]
            ],
        )
        for line, facts in enumerate(first.samples.episodes)
    ]
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
    """Read and redraw a sheet: of a foreign file only its pixels and its checked text reach the page.

    None where it is none; it may come from anybody.
    """
    from PIL import Image

    try:
        if path.stat().st_size > LARGEST_BYTES:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path, formats=("PNG",)) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    return None
                samples = Samples.model_validate_json(getattr(image, "text", {})[TEXT_KEY])
                pixels = image.convert("L" if image.mode == "L" else "RGB")
    except (
        OSError,
        ValueError,
        KeyError,
        SyntaxError,
        Warning,
    ):  # Pillow's answers to damage; pydantic's is a ValueError
        return None
    out = io.BytesIO()
    pixels.save(out, "PNG", optimize=True)
    sheet = _Sheet(samples, out.getvalue(), pixels.width, pixels.height)
    return sheet if _fits(sheet) else None


def _fits(sheet: _Sheet) -> bool:
    """Whether the text describes this sheet: every line alike, and an answer to every query."""
    for each in sheet.samples.episodes:
        answers = [len(given) for given in (each.before, each.after) if given is not None]
        if len(each.support) + len(each.query) != sheet.columns or set(answers) != {len(each.query)}:
            return False
    return sheet.width % sheet.columns == 0 and sheet.height % len(sheet.samples.episodes) == 0
