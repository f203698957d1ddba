"""Rendering verdicts for people (terminal, Markdown) and for programs (JSON, benchmark trackers)."""

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
from mamlbench.report.gate.benchmark_json import benchmark_entries
from mamlbench.report.gate.metrics import MACHINE_METRICS
from mamlbench.report.gate.result import GateResult
from mamlbench.report.gate.verdict import Verdict, VerdictKind
from mamlbench.report.render.markdown import escape, list_item
from mamlbench.report.table.doubts import SIGN

HEADINGS = ("metric", "BASE", "HEAD", "change [95 %]", "verdict", "test data", "reason")
_STYLES = {"worse": "bold red", "better": "bold green", "same": "green", "inconclusive": "yellow"}


class _Line(NamedTuple):
    """One verdict as text, one field per heading."""

    metric: str
    base: str
    head: str
    change: str
    kind: str
    test_data: str
    reason: str


def to_terminal(result: GateResult) -> Any:
    """Build a rich group with one table per configuration."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = []
    for configuration, verdicts in _by_configuration(result):
        identifier = verdicts[0].series.rpartition(" ")[-1]
        parts.append(Text.assemble((f"\n{printable(configuration)}", "bold"), (f" {identifier}", "dim")))
        if verdicts[0].changed:
            parts.append(Text(printable("; ".join(verdicts[0].changed)), style="dim"))
        parts.append(_terminal_table(verdicts))
    parts += [Text(printable(text)) for text in (*legend(result), *result.notes, *result.reasons)]
    is_gate = any(verdict.gated for verdict in result.verdicts)
    return Group(*parts, Text(printable(summary(result)), style="bold" if is_gate else "bold yellow reverse"))


def _terminal_table(verdicts: list[Verdict]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for heading in HEADINGS:
        is_number = heading in ("BASE", "HEAD", "change [95 %]")
        table.add_column(Text(heading), justify="right" if is_number else "left", overflow="fold")
    for verdict in verdicts:
        texts = [Text(printable(text)) for text in _line(verdict)]
        texts[4].stylize(_STYLES.get(verdict.kind, ""))
        table.add_row(*texts)
    return table


def to_markdown(result: GateResult) -> str:
    """Write one table for a CI job summary, with the summary first."""
    lines = [f"**{escape(summary(result))}**", ""]
    lines += map(list_item, result.reasons)
    headings = ["configuration", *(escape(heading) for heading in HEADINGS)]
    lines += ["", _row(headings), _row(["---"] * len(headings))]
    changes = []
    for configuration, verdicts in _by_configuration(result):
        for verdict in verdicts:
            texts = [escape(text) for text in _line(verdict)]
            if verdict.kind in ("better", "worse"):
                texts[4] = f"**{texts[4]}**"
            lines.append(_row([escape(configuration), *texts]))
        if verdicts[0].changed:
            changes.append(f"{configuration}: {'; '.join(verdicts[0].changed)}")
    notes = [*legend(result), *changes, *result.notes]
    return "\n".join([*lines, "", *map(list_item, notes), ""])


def to_json(result: GateResult) -> str:
    """Write everything in base units (fractions, seconds, bytes). NaN and infinities become null."""
    content = {
        "exit_code": int(result.exit_code),
        "summary": summary(result),
        "reasons": result.reasons,
        "notes": result.notes,
        "verdicts": [_finite(asdict(verdict)) for verdict in result.verdicts],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def to_benchmark(result: GateResult) -> str:
    """Write HEAD's values for github-action-benchmark's ``customSmallerIsBetter``, with accuracies as errors."""
    return benchmark_entries(result.verdicts, _extra, bigger_is_better=False)


def to_benchmark_bigger(result: GateResult) -> str:
    """Write HEAD's scores and rates for github-action-benchmark's ``customBiggerIsBetter``."""
    return benchmark_entries(result.verdicts, _extra, bigger_is_better=True)


RENDERERS: dict[str, Callable[[GateResult], str]] = {
    "md": to_markdown,
    "json": to_json,
    "benchmark": to_benchmark,
    "benchmark-bigger": to_benchmark_bigger,
}
"""Every format but the terminal's."""


def to_text(result: GateResult) -> str:
    """Render the terminal output for 120 columns, without color."""
    from rich.console import Console

    buffer = io.StringIO()
    Console(file=buffer, width=120, color_system=None, emoji=False).print(to_terminal(result))
    return buffer.getvalue()


def summary(result: GateResult) -> str:
    """Summarize the result in one line: ``Gate failed: 2 of 4 comparisons are inconclusive.``"""
    total = len(result.verdicts)
    if result.exit_code == ExitCode.OK:
        counts = ", ".join(f"{count} {kind}" for kind, count in _counts(result.verdicts).items())
        gated = sum(verdict.gated for verdict in result.verdicts)
        if not gated:
            return f"No threshold is set, so nothing can fail: {counts}. Set one, as --fail accuracy:-1pp."
        return f"Gate passed: {counts} (thresholds apply to {gated} of {total} comparisons)."
    failing = _counts([verdict for verdict in result.verdicts if verdict.gated and not verdict.passes])
    if not failing:  # for example, a file could not be read
        return f"Gate failed: {result.reasons[0][:1].lower()}{result.reasons[0][1:]}"
    (first_kind, first_count), *others = failing.items()
    text = f"{first_count} of {total} comparisons {_is_or_are(first_count)} {first_kind}"
    return f"Gate failed: {', '.join([text, *(f'{count} {_is_or_are(count)} {kind}' for kind, count in others)])}."


def _counts(verdicts: list[Verdict]) -> dict[VerdictKind, int]:
    """Count the kinds of verdicts, the worst first."""
    counts = Counter(verdict.kind for verdict in verdicts)
    order: tuple[VerdictKind, ...] = ("worse", "inconclusive", "not comparable", "missing", "better", "same")
    return {kind: counts[kind] for kind in order if kind in counts}


def _is_or_are(count: int) -> str:
    return "is" if count == 1 else "are"


def legend(result: GateResult) -> Iterator[str]:
    """Explain what the verdicts are about."""
    claims = {verdict.claim for verdict in result.verdicts}
    populations = {verdict.population for verdict in result.verdicts if verdict.claim in ("algorithms", "checkpoints")}
    if "these classes" in populations:
        yield "Verdicts on scores hold for these test classes, which both sides share (--population these-classes)."
    if "new classes" in populations:
        yield "Verdicts on scores hold for new classes like those tested: classes are random too."
    if "algorithms" in claims:
        yield "Scores: training seeds and shared episodes are both random effects (5 %, Holm-corrected)."
    if "checkpoints" in claims:
        yield (
            "Scores with fewer than six seeds in total: claims about these checkpoints only (paired t-test on shared "
            "episodes, 5 %, Holm-corrected). With six seeds, such as three per side, the claim is about the algorithm."
        )
    if any(verdict.test_data for verdict in result.verdicts):
        yield "Test data: whether the networks (BASE → HEAD if they differ) were trained on test classes or images."
    if "runs" in claims:
        yield "Time and memory: ratio of the runs' geometric means (Student's t-test). Repeats are best interleaved."


def _extra(verdict: Verdict) -> str:
    line = _line(verdict)
    test_data = f"; test data {verdict.test_data}" if verdict.test_data else ""
    return printable(f"{verdict.kind}; BASE {line.base}; change {line.change or 'unknown'}{test_data}")


def _by_configuration(result: GateResult) -> Iterator[tuple[str, list[Verdict]]]:
    for name in dict.fromkeys(verdict.configuration for verdict in result.verdicts):
        yield name, [verdict for verdict in result.verdicts if verdict.configuration == name]


def _line(verdict: Verdict) -> _Line:
    metric = verdict.label + (f", {verdict.unit}" if verdict.unit else "")
    base, head = _value(verdict.base, verdict), _value(verdict.head, verdict)
    kind = verdict.kind + (" (gated)" if verdict.gated else "") + (SIGN if verdict.doubt else "")
    doubt = f"{SIGN} {verdict.doubt}" if verdict.doubt else ""
    reason = "; ".join(filter(None, [verdict.detail, doubt]))
    return _Line(metric, base, head, change_text(verdict), kind, verdict.test_data, reason)


def _value(value: float | None, verdict: Verdict) -> str:
    if value is None:
        return ""
    return f"{value * verdict.scale:.1f}" if verdict.unit == "%" else number(value * verdict.scale)


def change_text(verdict: Verdict) -> str:
    """Return the change with its 95 % interval: ``-3.2 pp [-4.1, -2.3]``; empty if there is none."""
    if verdict.change is None:
        return ""
    scale, unit, digits = 1.0, "", 3
    if verdict.metric in MACHINE_METRICS:  # relative to BASE
        scale, unit, digits = 100.0, " %", 1
    elif verdict.unit == "%":
        scale, unit, digits = 100.0, " pp", 1
    interval = ""
    if verdict.low is not None and verdict.high is not None:
        interval = f" [{verdict.low * scale:+.{digits}f}, {verdict.high * scale:+.{digits}f}]"
    return f"{verdict.change * scale:+.{digits}f}{unit}{interval}"


def _row(parts: list[str]) -> str:
    return "| " + " | ".join(parts) + " |"


def _finite(content: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in content.items()
    }
