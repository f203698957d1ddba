"""The predicted labels of a user's own images, as CSV and as text."""

from __future__ import annotations

import csv
import io
from collections import Counter

from mamlbench.record import Adaptation


def predictions_csv(adaptation: Adaptation) -> str:
    """Write one row per predicted image: file, use, true class if known, label, probability of each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "use", "truth", "label", *(f"p({name})" for name in adaptation.classes)])
    for image in (*adaptation.used_as("held out"), *adaptation.used_as("unlabeled")):
        probabilities = (f"{value:.6f}" for value in image.probabilities)
        writer.writerow([image.file, image.use, image.truth or "", image.label, *probabilities])
    return text.getvalue()


def summary_lines(adaptation: Adaptation) -> list[str]:
    """Summarize the adaptation in a few lines: support images, predicted labels, held-out accuracy."""
    support = Counter(image.truth for image in adaptation.used_as("support"))
    lines = [
        f"Learned from {_counts(support)}: {adaptation.algorithm} trained on {adaptation.dataset}"
        + ("" if adaptation.steps is None else f", {adaptation.steps} adaptation steps")
        + f", {adaptation.mode}."
    ]
    labeled = Counter(image.label for image in adaptation.used_as("unlabeled"))
    if labeled:
        lines.append(f"Labeled: {_counts(labeled)}.")
    if adaptation.held_out is not None:
        score = adaptation.held_out
        accuracy = score.accuracy
        lines += [
            f"Held-out images: {score.right} of {score.images} correct, {100 * accuracy.mean:.0f} % "
            f"(95 % confidence interval {100 * accuracy.low:.0f} to {100 * accuracy.high:.0f} %).",
            f"Untrained network with the same adaptation: {score.untrained_right} of {score.images} correct. "
            f"Chance: {100 / len(adaptation.classes):.0f} %.",
        ]
    if adaptation.seen is not None:
        reasons = f": {'; '.join(adaptation.seen.reasons)}" if adaptation.seen.reasons else ""
        lines.append(f"Held-out images in training: {adaptation.seen.answer}{reasons}.")
    return [*lines, *(f"{note[0].upper()}{note[1:]}." for note in adaptation.notes)]


def _counts(counts: Counter[str | None]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=str))
