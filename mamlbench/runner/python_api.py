"""The commands run, evaluate and adapt as functions, for notebooks and scripts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mamlbench.plugin import Plugins, load_plugins
from mamlbench.progress.display import ProgressDisplay
from mamlbench.progress.display import progress as show_progress
from mamlbench.record import Adaptation, Evaluation, RunRecord
from mamlbench.run_spec import Folders, Mode, Precision
from mamlbench.runner.adapt.adapt_model import adapt_model
from mamlbench.runner.evaluate import evaluate_model
from mamlbench.runner.launch import DEFAULT, launch, make_launcher
from mamlbench.runner.plan import make_request, plan
from mamlbench.runner.resuming import LATEST
from mamlbench.user_config import find_user_config, folders, plugin_files


def run(
    algorithm: str = "maml",
    dataset: str = "glyphs",
    *,
    options: dict[str, Any] | None = None,
    data_dir: str | Path | None = None,
    results_dir: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
    trackers: Sequence[str] = (),
    resume: bool = False,
    progress: bool = True,
    workers: int = 1,
    **settings: Any,
) -> RunRecord:
    """Run one algorithm and return its record, which is also written under ``results_dir``.

    Args:
        algorithm: a registered name (``mamlbench list``).
        dataset: a registered name.
        options: as ``-o NAME=VALUE``: ``{"inner_lr": 0.4, "dataset.rotations": "none"}``.
        data_dir: where the data set lies; as ``--data-dir``.
        results_dir: where the record goes; as ``--results-dir``.
        plugins: single-file plugins to load; as ``--plugin``.
        trackers: where the curves are sent; as ``--track``.
        resume: whether to go on with the latest unfinished run of the same settings; one that finished is returned.
        progress: whether progress is shown: bars on a terminal and in a notebook, else lines on stderr.
        workers: processes that compute the run together; as ``--workers``.
        **settings: further fields of ``mamlbench.run_spec.RunRequest``: iterations, seed, ways, shots, precision, ...

    Raises ConfigError or DataError as the command line reports them.
    """
    loaded, locations = _load(data_dir, results_dir, plugins)
    loaded.track(trackers, locations.results)
    request = make_request(algorithms=(algorithm,), dataset=dataset, options=options or {}, **settings)
    specs, latest = plan(request, loaded), LATEST if resume else None
    launcher = make_launcher(DEFAULT, {"ranks": workers}, loaded) if workers != 1 else None
    with show_progress(loaded, ProgressDisplay(specs)) if progress else nullcontext():
        (record,) = launch(specs, loaded, locations, own_process=False, launcher=launcher, resume=latest)
    return record


def evaluate(
    model: str | Path,
    *,
    dataset: str | None = None,
    options: dict[str, Any] | None = None,
    data_dir: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
    device: str = "auto",
    precision: Precision | None = None,
    resize: bool = False,
    **protocol: Any,
) -> Evaluation:
    """Test a trained model again under another protocol or on other data; nothing is retrained.

    Args:
        model: a record, a model's folder, or its model.json.
        dataset: a registered name; None: that of the run.
        options: of the algorithm or the data set to change, as ``{"test_steps": 10, "dataset.rotations": "none"}``.
        data_dir: where the data set lies.
        plugins: single-file plugins to load.
        device: as for a run.
        precision: 'float32', 'bf16' or 'float64'; None: as in the run.
        resize: whether images of another data set are resized and recolored to what the network takes.
        **protocol: fields of ``mamlbench.run_spec.Protocol`` to change: queries, test_episodes, modes, metrics.
    """
    loaded, locations = _load(data_dir, None, plugins)
    return evaluate_model(
        Path(model),
        loaded,
        locations,
        dataset=dataset,
        protocol=protocol,
        options=options,
        device=device,
        precision=precision,
        resize=resize,
    )


def adapt(
    model: str | Path,
    folder: str | Path,
    *,
    hold_out: int = 0,
    options: dict[str, Any] | None = None,
    mode: Mode = "inductive",
    data_dir: str | Path | None = None,
    plugins: Sequence[str | Path] = (),
    device: str = "auto",
    corrections: str | Path | None = None,
    unsure_below: float = 0.6,
) -> Adaptation:
    """Fine-tune a trained model on the few labeled images of a folder, and label the others; no file is written.

    Args:
        model: a record, a model's folder, or its model.json.
        folder: a folder for each class, 'unlabeled' with images to be labeled, 'test' with held-out ones if any.
        hold_out: images per class to hold out, if there is no 'test'.
        options: options of the algorithm to change, such as ``{"test_steps": 10}``.
        mode: how batch norm treats the images to be labeled.
        data_dir: where the data set lies that the model was trained on; only models of earlier releases need it.
        plugins: single-file plugins to load.
        device: as for a run.
        corrections: a table that ``mamlbench adapt`` wrote, with right classes in its column ``correction``.
        unsure_below: probability of a label below which it is marked as unsure.
    """
    loaded, locations = _load(data_dir, None, plugins)
    return adapt_model(
        Path(model),
        Path(folder),
        loaded,
        locations,
        hold_out=hold_out,
        options=options,
        mode=mode,
        device=device,
        corrections=None if corrections is None else Path(corrections),
        unsure_below=unsure_below,
    )


def _load(
    data_dir: str | Path | None, results_dir: str | Path | None, plugins: Sequence[str | Path]
) -> tuple[Plugins, Folders]:
    """Load the plugins and find the folders, as the command line does."""
    config = find_user_config(Path.cwd())
    locations = folders(
        config,
        data_dir=None if data_dir is None else Path(data_dir),
        results_dir=None if results_dir is None else Path(results_dir),
    )
    explicit = [Path(path) for path in plugins]
    loaded = load_plugins(plugin_files(config, explicit), strict=False)
    loaded.require(explicit)
    for failure in loaded.failures:
        logging.getLogger("mamlbench").warning("%s", failure)
    return loaded, locations
