"""The labels that a user's own pictures were given, as CSV and in words."""

from __future__ import annotations

import csv
import io
from collections import Counter

from mamlbench.record import Adaptation


def predictions_csv(adaptation: Adaptation) -> str:
    """A row for each picture that was labelled: file, use, true class where known, label, probability of each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "use", "truth", "label", *(f"p({name})" for name in adaptation.classes)])
    for picture in (*adaptation.used_as("held out"), *adaptation.used_as("unlabelled")):
        shares = (f"{value:.6f}" for value in picture.probabilities)
        writer.writerow([picture.file, picture.use, picture.truth or "", picture.label, *shares])
    return text.getvalue()


def in_words(adaptation: Adaptation) -> list[str]:
    """What was learned from, what was labelled, and how well, a line each."""
    given = Counter(picture.truth for picture in adaptation.used_as("given"))
    lines = [
        f"Learned from {_counted(given)}: {adaptation.algorithm} trained on {adaptation.dataset}"
        + ("" if adaptation.steps is None else f", {adaptation.steps} adaptation steps")
        + f", {adaptation.mode}."
    ]
    labelled = Counter(picture.label for picture in adaptation.used_as("unlabelled"))
    if labelled:
        lines.append(f"Labelled: {_counted(labelled)}.")
    if adaptation.held_out is not None:
        score = adaptation.held_out
        share = score.accuracy
        lines += [
            f"Of the pictures held out {score.right} of {score.pictures} right: {100 * share.mean:.0f} % "
            f"(95 % interval {100 * share.low:.0f} to {100 * share.high:.0f} %).",
            f"Untrained network, given the same adaptation: {score.untrained_right} of {score.pictures}; "
            f"guessing: {100 / len(adaptation.classes):.0f} %.",
        ]
    return lines


def _counted(counts: Counter[str | None]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=str))
