"""The page of published records: a table, how to use them, settings, and SHA-256 of every file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mamlbench.record import RunRecord
from mamlbench.report.formatting import printable
from mamlbench.report.render.markdown import escape, to_markdown
from mamlbench.report.table.table import build_tables


def model_card(records: Sequence[RunRecord], hashes: Mapping[str, str], repository: str) -> str:
    """Write the page in Markdown, with the metadata that the Hub reads first.

    Args:
        records: those that are published.
        hashes: SHA-256 of every file, by its path.
        repository: where it will be, as OWNER/NAME or a folder.
    """
    metadata = json.dumps(_metadata(records), indent=1, ensure_ascii=False)  # JSON is YAML
    return "\n".join(["---", metadata, "---", *_sections(records, hashes, repository), ""])


def _metadata(records: Sequence[RunRecord]) -> dict[str, Any]:
    tested = [record for record in records if record.test is not None]
    return {
        "library_name": "mamlbench",
        "tags": ["few-shot", "meta-learning", *sorted({record.spec.algorithm.name for record in records})],
        "model-index": [{"name": record.name, "results": list(_results(record))} for record in tested],
    }


def _results(record: RunRecord) -> Iterator[dict[str, Any]]:
    test, spec = record.test, record.spec
    assert test is not None
    for metric, result in test.metrics.items():
        for mode, scores in result.modes.items():
            yield {
                "task": {"type": "few-shot-learning", "name": f"{test.protocol.size_text}"},
                "dataset": {"type": spec.dataset.name, "name": spec.dataset.name},
                "metrics": [{"type": metric, "name": f"{metric}, {mode}", "value": scores.score.mean}],
            }


def _sections(records: Sequence[RunRecord], hashes: Mapping[str, str], repository: str) -> Iterator[str]:
    yield from ("", "# Few-shot models and their records", "")
    yield from ("Made, tested and published by mamlbench. To fetch them, with their hashes checked:", "")
    yield from ("```sh", f"mamlbench fetch {repository} --into results", "mamlbench verify results", "```", "")
    yield from ("## Results", "", to_markdown(build_tables(records)), "")
    yield from ("## Data", "", *_data(records), "")
    yield "## Settings"
    for record in records:
        settings = json.dumps(record.spec.model_dump(mode="json"), indent=1, ensure_ascii=False)
        yield from ("", f"### {escape(printable(record.name))}", "", "```json", settings.replace("```", "` ` `"), "```")
    yield from ("", "## SHA-256", "", "| file | SHA-256 |", "|---|---|")
    for name, digest in hashes.items():
        yield f"| {escape(printable(name))} | `{digest}` |"


def _data(records: Sequence[RunRecord]) -> Iterator[str]:
    """Each data set with its license and the hash of its content; its images are not published."""
    known = {
        f"- {record.spec.dataset.name}: license {record.data.license}; content hash {record.data.content_hash}": None
        for record in records
        if record.data is not None
    }
    yield from (escape(printable(line)) for line in known)
