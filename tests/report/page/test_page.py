"""The page: complete, safe with untrusted records, and small."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mamlbench.report.figures import MAX_ROWS
from mamlbench.report.page import render_page, sections
from mamlbench.run_spec import Component

NASTY = "<img src=x onerror=alert(1)>\"'`&amp;{{7*7}}\u202e"

ELEMENTS = (
    "meta link html head title style body header h1 h2 h3 h4 h5 p b span div ul ol li nav a section table thead tbody "
    "tr th td small br figure figcaption details summary footer svg g path text use defs clippath rect pattern "
    "main script"
)
"""Every element that the page uses: no image, no form."""


class Parsed(HTMLParser):
    """The tags with their attributes, and the text, of a page. Fails if tags do not close in order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.text, self.scripts = [], [], "", []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.text += data
        elif self.open[-1] == "script":
            self.scripts.append((self.tags[-1][1]["type"], data))


def test_the_page_is_complete(make_run):
    runs = [make_run("maml", seed=seed) for seed in range(2)]
    runs += [
        make_run("reptile", score=0.7, subset="964 of 1,623 characters"),
        make_run("pretrain", status="diverged", reason="The loss is nan at iteration 7."),
    ]
    page = Parsed(render_page(runs, problems=["'x.json' is not a run record."]))
    assert [tag for tag, _ in page.tags].count("svg") == 8 + 3  # panels, and the legend's rows
    for words in (
        "4 runs, 3 finished",
        "93.0",
        "not finished",
        "pretrain, seed 0: diverged: The loss is nan at iteration 7",
        "quick preset",
        "subset of the data",
        "964 of 1,623 characters",
        "inner_lr",
        "0123456789abcdef",
        "Test CPU",
        "test, hash",
        "maml-1",
        "1 file was skipped",
        "torch 2.14.1",
        "Bold: the best score",
        "Minimum detectable difference from the best",
    ):
        assert words in re.sub(r"\s+", " ", page.text), words


def test_the_chosen_engine_is_shown_without_the_trials(make_run):
    engine = {"asked": "auto", "name": "vmap[4]", "reason": "fastest of 6 tried", "trials": [{"name": "loop"}]}
    text = Parsed(render_page([make_run("maml").model_copy(update={"engine": engine})])).text
    assert "vmap[4]: fastest of 6 tried" in text and "loop" not in text


def test_text_from_records_is_escaped(make_run, artifact):
    run = make_run(
        NASTY,
        options={NASTY: NASTY},
        dataset=NASTY,
        preset=NASTY,
        split_hash=NASTY,
        subset=NASTY,
        name=NASTY,
        environment={"cpu": NASTY, "packages": {NASTY: NASTY}, "git_revision": NASTY},
    )
    failed = make_run("maml", status="failed", reason=NASTY, dataset=NASTY, name=NASTY)
    page = Parsed(render_page([run, failed], [artifact("a")], problems=[NASTY], private=True))
    assert {tag for tag, _ in page.tags} <= set(re.findall(r"\w+", ELEMENTS))
    assert not {name for _, attrs in page.tags for name in attrs if name.startswith("on")}
    assert NASTY.replace("\u202e", " ") in page.text and "\u202e" not in page.text


def test_the_page_loads_nothing(make_run):
    page = render_page([make_run()])
    addresses = ["".join(groups) for groups in re.findall(r'(?:href|src)="([^"]*)|url\(([^)]*)', page)]
    assert addresses and all(address.startswith(("#", "data:")) for address in addresses)
    assert "default-src 'none'" in page


def test_the_policy_allows_the_script_of_the_page_alone(make_run):
    page = render_page([make_run()])
    (script,) = (text for kind, text in Parsed(page).scripts if kind == "module")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert f"script-src 'sha256-{digest}';" in policy and policy.count("sha256-") == 1
    assert not re.search(r"fetch|XMLHttpRequest|import\(|eval|innerHTML|document\.write", script)


def test_text_from_records_cannot_leave_the_data_of_the_script(make_run):
    page = Parsed(render_page([make_run(name="</script><script>alert(1)</script>", options={"a": "<!--<script>"})]))
    assert [kind for kind, _ in page.scripts].count("module") == 1
    data = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    assert len(data) == 1 + 8  # the table, and every plot
    assert any("</script><script>alert(1)</script>" in point for entry in data[1:] for point in entry["points"])


def test_the_first_line_says_who_wins_by_how_much_and_whether_that_is_significant(make_run, monkeypatch):
    monkeypatch.setattr(sections, "MAX_TABLES_WITH_FIGURES", 0)  # they take longer than the rest
    rng = np.random.default_rng(0)
    page = lambda *runs: re.sub(r"\s+", " ", Parsed(render_page(runs)).text)  # noqa: E731
    scores = {name: rng.normal(mean, 0.05, 40) for name, mean in (("maml", 0.9), ("reptile", 0.7), ("anil", 0.895))}
    runs = {name: make_run(name, score=float(values.mean()), episodes=values) for name, values in scores.items()}
    runs = {name: with_episodes(run, scores[name]) for name, run in runs.items()}
    significant, tie = page(runs["maml"], runs["reptile"]), page(runs["maml"], runs["anil"])
    lead = 100 * (scores["maml"].mean() - scores["reptile"].mean())
    assert f"{lead:.1f} points ahead of reptile: significant (5 %, Holm-corrected)." in significant
    assert "Best: maml, " in significant and "of these checkpoints only" in significant
    assert "not significant (5 %, Holm-corrected). Not significantly worse:" in tie
    assert "there is nothing to compare: maml, " in page(runs["maml"])
    assert "No run was tested" in page(make_run(status="failed", reason="disk full"))


def with_episodes(run, scores):
    result = next(iter(run.test.modes.values())).model_copy(update={"episode_scores": list(map(float, scores))})
    metric = run.test.metrics[run.test.metric].model_copy(update={"modes": dict.fromkeys(run.test.modes, result)})
    return run.model_copy(update={"test": run.test.model_copy(update={"metrics": {run.test.metric: metric}})})


def test_rows_and_their_settings_are_in_the_order_of_the_table(make_run):
    page = render_page([make_run("worst", score=0.2), make_run("best", score=0.9), make_run("middle", score=0.5)])
    names = ["best", "middle", "worst"]
    assert re.findall(r'<tr data-key="(\w+)"', page) == names
    assert re.findall(r"<summary>(\w+) <span", page) == names
    assert re.findall(r'<li data-key="(\w+)"', page) == names


def test_the_title_is_that_of_the_user_and_own_data_has_the_name_of_its_folder(make_run):
    run = make_run("maml", dataset="folder")
    spec = run.spec.model_copy(update={"dataset": Component(name="folder", options={"path": "data/flowers.zip"})})
    page = render_page([run.model_copy(update={"spec": spec})], title="Spring & autumn")
    assert "<title>Spring &amp; autumn</title>" in page and "<h1>Spring &amp; autumn</h1>" in page
    assert "<h2>flowers, 5-way 1-shot: accuracy" in page


@pytest.mark.parametrize(
    ("options", "title"),
    [
        ({}, "folder"),
        ({"path": ""}, "folder"),
        ({"path": "birds/"}, "birds"),
        ({"path": "a/b/Fish.tar.gz"}, "Fish"),
        ({"path": "v1.5"}, "v1.5"),
        ({"path": 3}, "folder"),
    ],
)
def test_the_name_of_own_data(options, title):
    assert Component(name="folder", options=options).title == title


def test_sample_episodes_show_the_predictions_of_every_row(make_run, artifact):
    runs = [make_run("maml"), make_run("reptile", score=0.7)]
    page = Parsed(render_page(runs, [artifact("a"), artifact("b", after=(1, 1))]))
    text = re.sub(r"\s+", " ", page.text)
    assert "Test episode 0" in text and "Test episode 1" in text
    assert "mamlbeforeB ✗B ✓1 of 2 afterA ✓B ✓2 of 2" in text
    assert text.count("1 of 2") == 2 * 3  # two episodes: both rows before adaptation, one after it
    tiles = [attrs for tag, attrs in page.tags if attrs.get("class") == "tile"]
    assert len(tiles) == 8 and {attrs["aria-label"] for attrs in tiles} == {"support image", "query image"}


def test_rows_with_different_images_are_not_mixed(make_run, artifact):
    page = render_page([make_run("maml"), make_run("b", score=0.7)], [artifact("a"), artifact("b", size=(48, 16))])
    assert "Sample episodes are those of maml. Other rows saved different images." in page


def test_images_that_must_not_be_published_are_shown_only_on_a_private_page(make_run, artifact):
    run = make_run()
    run = run.model_copy(update={"data": run.data.model_copy(update={"publishable": False, "license": "no license"})})
    file = artifact("a")
    page = render_page([run], [file])
    assert "data:image/png" not in page and "does not allow publishing" in page and "no license" in page
    page = render_page([run], [file], private=True)
    assert "data:image/png" in page and "must not be published" in page


@pytest.mark.parametrize(
    "damage",
    [
        {"text": "no json"},
        {"text": "{}"},
        {"after": (0,)},
        {"before": (0, 1, 2)},
        {"size": (33, 16)},
        {"size": (2500, 2000)},
    ],
    ids=str,
)
def test_a_damaged_sheet_is_omitted(make_run, artifact, damage):
    page = render_page([make_run()], [artifact("a", **damage)])
    assert "data:image/png" not in page and "93.0" in page


def test_only_the_pixels_of_a_sheet_reach_the_page(make_run, artifact, tmp_path):
    file = artifact("a")
    sheet = tmp_path / "a" / "episodes.png"
    sheet.write_bytes(sheet.read_bytes() + b"<script>alert(1)</script>")
    page = render_page([make_run()], [file])
    assert "data:image/png" in page and "PHNjcmlwd" not in page


@pytest.mark.slow
def test_a_thousand_records_are_a_small_page(make_run):
    """benchmarks/report_speed.py measures how long it takes."""
    runs = [
        make_run(
            f"algorithm-{number % 40}",
            seed=number // 200,
            shots=1 + number // 40 % 5,
            score=0.5 + number / 3000,
            options={"inner_lr": 0.1 * (number // 50 % 2)},
            name=f"record-{number}",
        )
        for number in range(1000)
    ]
    page = render_page(runs)
    assert len(page.encode()) < 5 * 1024**2
    assert f"The figures show the best {MAX_ROWS} of" in page and all(f">{run.name}<" in page for run in runs)


def test_figures_are_drawn_for_the_largest_tables(make_run):
    page = render_page([make_run(shots=shots) for shots in range(1, 9)])
    assert page.count("Figures are drawn for the 4 largest tables") == 4
