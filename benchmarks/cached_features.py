"""Seconds for test episodes on the cached features of a frozen encoder, and for the one pass that computes them.

    python benchmarks/cached_features.py [--dataset glyphs] [--episodes 10000] [--fits 1000] [--queries 15]

The encoder is torchvision's ResNet-18 with random weights, which cost what trained ones cost. A row is one test as a
run makes it: drawing the episodes, adaptation, metric.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from mamlbench.plugin import load_plugins
from mamlbench.run_spec import Folders, RunSpec
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.frozen.encoded_dataset import feature_pass
from mamlbench.runner.meter import Meter
from mamlbench.runner.plan import make_request, plan
from mamlbench.runner.scoring import score_episodes

CLOSED_FORM = ("protonet", "r2d2", "nearest-neighbor", "simpleshot")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the pass and every method, and print one line for each."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "resnet18.safetensors"
        torch.manual_seed(0)
        save_file(resnet18().state_dict(), weights)
        folders = Folders(cache=options.cache or Path(folder), data=(("--data-dir", options.data_dir),))
        rows = [_measure(name, weights, folders, options) for name in (*CLOSED_FORM, "logistic", "linear-probe")]
    load, threads = os.getloadavg()[0], torch.get_num_threads()
    print(json.dumps({"load": round(load, 2), "threads": threads, "torch": torch.__version__, "rows": rows}, indent=1))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="glyphs", help="default: glyphs")
    parser.add_argument("--data-dir", type=Path, default=Path(), help="folder of the raw data; default: this one")
    parser.add_argument("--cache", type=Path, help="folder of prepared data; default: an empty one")
    parser.add_argument("--episodes", type=int, default=10_000, help="of methods in closed form; default: 10000")
    parser.add_argument("--fits", type=int, default=1000, help="episodes of logistic regression; default: 1000")
    parser.add_argument("--queries", type=int, default=15, help="per class; default: 15")
    parser.add_argument("--shots", type=int, default=1, help="per class; default: 1")
    parser.add_argument("--image-size", type=int, default=64, help="pixels on a side; default: 64")
    return parser.parse_args(arguments)


def _measure(name: str, weights: Path, folders: Folders, options: argparse.Namespace) -> dict[str, object]:
    plugins = load_plugins()
    episodes = options.episodes if name in CLOSED_FORM else options.fits
    spec = _spec(name, weights, episodes, options)
    dataset = load_dataset(spec, plugins, folders)
    experiment = build_experiment(spec, plugins, dataset, training=False)
    meter = Meter(torch.device("cpu"))
    wall, cpu = time.perf_counter(), time.process_time()
    scores = score_episodes(experiment, experiment.algorithm, "test", spec.protocol, meter)
    once = feature_pass(dataset)
    return {
        "method": name,
        "episodes": scores.episodes,
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "drawing_cpu_seconds": round(meter.seconds_in("data").device, 2),
        "pass_cpu_seconds": None if once is None else round(once.device, 1),
        "pass_images": None if once is None else once.images,
    }


def _spec(name: str, weights: Path, episodes: int, options: argparse.Namespace) -> RunSpec:
    request = make_request(
        algorithms=(name,),
        dataset=options.dataset,
        backbone=f"frozen:{weights}",
        options={"backbone.network": "torchvision:resnet18", "backbone.image_size": options.image_size},
        shots=options.shots,
        queries=options.queries,
        test_episodes=episodes,
        device="cpu",
    )
    (spec,) = plan(request, load_plugins())
    return spec


if __name__ == "__main__":
    raise SystemExit(main())
