"""The predicted labels of a user's own images, as CSV and as text."""

from __future__ import annotations

import csv
import io
from collections import Counter

from mamlbench.record import Adaptation

HEADS = {
    "trained": "",
    "tied": "Another number of classes than in training: the head of each begins as the mean of the trained (tied).",
    "of the method": "",
}
"""Sentence about the head, by how it begins."""


def predictions_csv(adaptation: Adaptation) -> str:
    """Write one row per image that is not in a class's folder: file, use, truth, label, unsure, correction, p(CLASS).

    ``correction`` is for the user to fill in; corrections that were used are written again.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["file", "use", "truth", "label", "unsure", "correction"]
    writer.writerow([*columns, *(f"p({name})" for name in adaptation.classes)])
    corrected = [image for image in adaptation.used_as("support") if image.corrected]
    for image in (*adaptation.used_as("held out"), *adaptation.used_as("unlabeled"), *corrected):
        unsure, correction = "yes" if adaptation.is_unsure(image) else "", image.truth if image.corrected else ""
        row = [image.file, image.use, image.truth or "", image.label or "", unsure, correction]
        probabilities = [f"{value:.6f}" for value in image.probabilities] or [""] * len(adaptation.classes)
        writer.writerow([*row, *probabilities])
    return text.getvalue()


def summary_lines(adaptation: Adaptation) -> list[str]:
    """Summarize the adaptation in a few lines: support images, predicted labels, held-out accuracy."""
    support = Counter(image.truth for image in adaptation.used_as("support"))
    lines = [
        f"Learned from {_counts(support)}: {adaptation.algorithm} trained on {adaptation.dataset}"
        + ("" if adaptation.steps is None else f", {adaptation.steps} adaptation steps")
        + f", {adaptation.mode}."
    ]
    if HEADS[adaptation.head]:
        lines.append(HEADS[adaptation.head])
    if corrected := sum(image.corrected for image in adaptation.used_as("support")):
        lines.append(f"Corrections: {corrected} of the images that it learned from.")
    labeled = Counter(image.label for image in adaptation.used_as("unlabeled"))
    if labeled:
        lines.append(f"Labeled: {_counts(labeled)}.")
        lines += _unsure_lines(adaptation)
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


def _unsure_lines(adaptation: Adaptation) -> list[str]:
    """Count unsure labels; with held-out images, say how many labels of either kind are right."""
    unsure = sum(map(adaptation.is_unsure, adaptation.used_as("unlabeled")))
    lines = [f"Unsure, with a probability below {adaptation.unsure_below:.0%}: {unsure}."] if unsure else []
    held_out = adaptation.used_as("held out")
    if held_out and adaptation.unsure_below:
        of_kind = {kind: [image for image in held_out if adaptation.is_unsure(image) is kind] for kind in (False, True)}
        right = {kind: sum(image.label == image.truth for image in images) for kind, images in of_kind.items()}
        lines.append(
            f"Held-out images at {adaptation.unsure_below:.0%} or more: {right[False]} of {len(of_kind[False])} "
            f"correct; below: {right[True]} of {len(of_kind[True])}."
        )
    return lines


def _counts(counts: Counter[str | None]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=str))
