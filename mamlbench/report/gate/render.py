"""Verdicts for people (terminal, Markdown) and for other programs (JSON, benchmark trackers)."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, NamedTuple

from mamlbench.errors import ExitCode
from mamlbench.report.formatting import number, printable
from mamlbench.report.gate.metrics import MACHINE
from mamlbench.report.gate.outcome import Outcome
from mamlbench.report.gate.verdicts import Verdict
from mamlbench.report.render.markdown import escape

HEADINGS = ("metric", "BASE", "HEAD", "change [95 %]", "verdict", "why")
_STYLES = {"worse": "bold red", "better": "bold green", "same": "green", "inconclusive": "yellow"}
_ANSWERS = {
    ExitCode.OK: "the gate is open",
    ExitCode.REGRESSION: "a regression",
    ExitCode.NOTHING: "not decided, so the gate stays shut",
}


class _Line(NamedTuple):
    metric: str
    base: str
    head: str
    change: str
    word: str
    why: str


def to_terminal(outcome: Outcome) -> Any:
    """A rich group of one table per cell."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = []
    for cell, verdicts in _by_cell(outcome):
        parts.append(Text(f"\n{printable(cell)}", style="bold"))
        if verdicts[0].changed:
            parts.append(Text(printable("; ".join(verdicts[0].changed)), style="dim"))
        table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
        for heading in HEADINGS:
            right = heading in ("BASE", "HEAD", "change [95 %]")
            table.add_column(Text(heading), justify="right" if right else "left", overflow="fold")
        for verdict in verdicts:
            line = _line(verdict)
            shown = [Text(printable(text)) for text in line]
            shown[4].stylize(_STYLES.get(verdict.word, ""))
            table.add_row(*shown)
        parts.append(table)
    parts += [Text(printable(text)) for text in (*legend(outcome), *outcome.notes, *outcome.reasons)]
    return Group(*parts, Text(answer(outcome), style="bold"))


def to_markdown(outcome: Outcome) -> str:
    """One table for the summary of a job, the answer first."""
    lines = [f"**{escape(answer(outcome))}**", ""]
    lines += [f"- {escape(reason)}" for reason in outcome.reasons]
    lines += ["", _row(["cell", *(escape(heading) for heading in HEADINGS)]), _row(["---"] * (len(HEADINGS) + 1))]
    for cell, verdicts in _by_cell(outcome):
        for verdict in verdicts:
            shown = [escape(text) for text in _line(verdict)]
            if verdict.word in ("better", "worse"):
                shown[4] = f"**{shown[4]}**"
            lines.append(_row([escape(cell), *shown]))
    changed = {cell: verdicts[0].changed for cell, verdicts in _by_cell(outcome) if verdicts[0].changed}
    said = [*legend(outcome), *(f"{cell}: {'; '.join(each)}" for cell, each in changed.items()), *outcome.notes]
    return "\n".join([*lines, "", *(f"- {escape(text)}" for text in said), ""])


def to_json(outcome: Outcome) -> str:
    """Everything, in base units (fractions, seconds, bytes); what is not a number is null."""
    content = {
        "exit_code": int(outcome.exit_code),
        "answer": answer(outcome),
        "reasons": outcome.reasons,
        "notes": outcome.notes,
        "verdicts": [_finite(asdict(verdict)) for verdict in outcome.verdicts],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def to_benchmark(outcome: Outcome) -> str:
    """HEAD's values as github-action-benchmark reads them with ``customSmallerIsBetter``; accuracies as errors."""
    return _tracked(outcome, bigger=False)


def to_benchmark_bigger(outcome: Outcome) -> str:
    """The same for ``customBiggerIsBetter``: scores and rates of which more is better."""
    return _tracked(outcome, bigger=True)


RENDERERS: dict[str, Callable[[Outcome], str]] = {
    "md": to_markdown,
    "json": to_json,
    "benchmark": to_benchmark,
    "benchmark-bigger": to_benchmark_bigger,
}
"""Every format but the terminal's."""


def to_text(outcome: Outcome) -> str:
    """What a terminal of 120 columns shows, without color."""
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=120, color_system=None).print(to_terminal(outcome))
    return out.getvalue()


def answer(outcome: Outcome) -> str:
    """The whole in one line."""
    counted = Counter(verdict.word for verdict in outcome.verdicts)
    counts = ", ".join(f"{count} {word}" for word, count in counted.items())
    watched = sum(verdict.gated for verdict in outcome.verdicts)
    gate = f"{watched} watched by a threshold" if watched else "no threshold"
    return f"{_ANSWERS[outcome.exit_code][0].upper()}{_ANSWERS[outcome.exit_code][1:]}: {counts or 'nothing'} ({gate})."


def legend(outcome: Outcome) -> Iterator[str]:
    """What the verdicts are about."""
    claims = {verdict.claim for verdict in outcome.verdicts}
    if "algorithms" in claims:
        yield "Scores: training seeds and shared episodes are both taken as random; Holm-corrected, 5 %."
    if "checkpoints" in claims:
        yield (
            "Scores of fewer than six seeds in all speak of these checkpoints only (paired t-test on shared episodes, "
            "Holm-corrected, 5 %): six in all, three on either side say, speak of the algorithm."
        )
    if "runs" in claims:
        yield "Time and memory: ratio of the runs' geometric means (Student's t-test); repeats are best interleaved."


def _tracked(outcome: Outcome, *, bigger: bool) -> str:
    entries = []
    for verdict in outcome.verdicts:
        if verdict.head is None or not math.isfinite(verdict.head * verdict.scale):
            continue
        value, unit = verdict.head * verdict.scale, verdict.unit or "score"
        name = f"{verdict.cell}: {verdict.metric}"
        if verdict.lower_is_better is bigger:
            if bigger or verdict.unit != "%":
                continue
            value, name = 100 - value, f"{name}, error"  # one file may hold one direction only
        entry = {"name": printable(name), "unit": unit, "value": value, "extra": _extra(verdict)}
        if verdict.head_half_width is not None and math.isfinite(verdict.head_half_width):
            entry["range"] = f"± {number(verdict.head_half_width * verdict.scale)}"
        entries.append(entry)
    return json.dumps(entries, indent=1, allow_nan=False) + "\n"


def _extra(verdict: Verdict) -> str:
    line = _line(verdict)
    return printable(f"{verdict.word}; BASE {line.base}; change {line.change or 'unknown'}")


def _by_cell(outcome: Outcome) -> Iterator[tuple[str, list[Verdict]]]:
    for cell in dict.fromkeys(verdict.cell for verdict in outcome.verdicts):
        yield cell, [verdict for verdict in outcome.verdicts if verdict.cell == cell]


def _line(verdict: Verdict) -> _Line:
    metric = verdict.metric + (f", {verdict.unit}" if verdict.unit else "")
    base, head = (_value(each, verdict) for each in (verdict.base, verdict.head))
    word = verdict.word + (" (watched)" if verdict.gated else "")
    return _Line(metric, base, head, _change(verdict), word, verdict.detail)


def _value(value: float | None, verdict: Verdict) -> str:
    if value is None:
        return ""
    return f"{value * verdict.scale:.1f}" if verdict.unit == "%" else number(value * verdict.scale)


def _change(verdict: Verdict) -> str:
    if verdict.change is None:
        return ""
    if verdict.metric in MACHINE or verdict.unit == "%":
        scale, unit = 100.0, " %" if verdict.metric in MACHINE else " pp"
    else:
        scale, unit = 1.0, ""
    digits = 1 if scale == 100.0 else 3
    ends = (
        ""
        if verdict.low is None or verdict.high is None
        else (f" [{verdict.low * scale:+.{digits}f}, {verdict.high * scale:+.{digits}f}]")
    )
    return f"{verdict.change * scale:+.{digits}f}{unit}{ends}"


def _row(parts: list[str]) -> str:
    return "| " + " | ".join(parts) + " |"


def _finite(content: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in content.items()}
