"""Artifacts of runs, without runs; and pages in a browser."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mamlbench.report.page import render_page


@pytest.fixture
def artifact(tmp_path):
    """Write a record's sheet of sample episodes: ``artifact("maml-0")`` returns the record's file."""

    def write(name, after=(0, 1), text=None, size=(32, 16), before=(1, 1)):
        folder = tmp_path / name
        folder.mkdir()
        facts = {"support": [0, 1], "query": [0, 1], "before": list(before), "after": list(after)}
        facts = {"mode": "transductive", "episodes": [facts | {"number": 0}, facts | {"number": 1}]}
        chunk = PngInfo()
        chunk.add_text("mamlbench", json.dumps(facts) if text is None else text)
        pixels = np.arange(size[0] * size[1]).astype(np.uint8).reshape(size[1], size[0])
        Image.fromarray(pixels).save(folder / "episodes.png", pnginfo=chunk)
        return tmp_path / f"{name}.json"

    return write


@pytest.fixture(scope="session")
def browser(chromium):
    """A browser that a test can drive: the system's own, through playwright, which downloads nothing."""
    if find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield running
        running.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Open a page in a window: ``open_page(html, width=390, scheme="dark")``, or an address instead of the page.

    After the test the console has to be empty.
    """
    contexts, messages = [], []

    def open_(page, width=1280, scheme="light", anchor="", **settings):
        if not page.startswith("http"):
            file = tmp_path / "page.html"
            file.write_text(page, "utf-8")
            page = file.as_uri()
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **settings)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.goto(page + anchor)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert messages == []


_RENDERED = []


@pytest.fixture
def page_of_rows(make_run, artifact):
    """A page with four rows of two seeds, one of which did not finish, and two sample episodes; drawn once."""
    if not _RENDERED:
        runs = [
            make_run(name, score=score + seed / 100, seed=seed, name=f"run-{name}-{seed}")
            for name, score in (("maml", 0.9), ("reptile", 0.7), ("protonet", 0.8), ("anil", 0.6))
            for seed in range(2)
        ]
        runs.append(make_run("pretrain", status="failed", reason="disk full"))
        _RENDERED.append(render_page(runs, [artifact("run-maml-0")]))
    return _RENDERED[0]
