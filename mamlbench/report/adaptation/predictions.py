"""The labels that a user's own images were given, as CSV and in words."""

from __future__ import annotations

import csv
import io
from collections import Counter

from mamlbench.record import Adaptation


def predictions_csv(adaptation: Adaptation) -> str:
    """A row for each image that was labeled: file, use, true class where known, label, probability of each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "use", "truth", "label", *(f"p({name})" for name in adaptation.classes)])
    for image in (*adaptation.used_as("held out"), *adaptation.used_as("unlabeled")):
        shares = (f"{value:.6f}" for value in image.probabilities)
        writer.writerow([image.file, image.use, image.truth or "", image.label, *shares])
    return text.getvalue()


def in_words(adaptation: Adaptation) -> list[str]:
    """What was learned from, what was labeled, and how well, a line each."""
    given = Counter(image.truth for image in adaptation.used_as("given"))
    lines = [
        f"Learned from {_counted(given)}: {adaptation.algorithm} trained on {adaptation.dataset}"
        + ("" if adaptation.steps is None else f", {adaptation.steps} adaptation steps")
        + f", {adaptation.mode}."
    ]
    labeled = Counter(image.label for image in adaptation.used_as("unlabeled"))
    if labeled:
        lines.append(f"Labeled: {_counted(labeled)}.")
    if adaptation.held_out is not None:
        score = adaptation.held_out
        share = score.accuracy
        lines += [
            f"Of the images held out {score.right} of {score.images} right: {100 * share.mean:.0f} % "
            f"(95 % interval {100 * share.low:.0f} to {100 * share.high:.0f} %).",
            f"Untrained network, given the same adaptation: {score.untrained_right} of {score.images}; "
            f"guessing: {100 / len(adaptation.classes):.0f} %.",
        ]
    return lines


def _counted(counts: Counter[str | None]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=str))
