"""Ranges of ways and shots, and unequal classes, in a suite through the command line."""

import json


def test_ranges_and_imbalance_are_settings_of_a_suite(project, toy_plugin):
    (project.path / "sizes.toml").write_text(
        f'plugins = ["{toy_plugin}"]\nalgorithm = ["protonet", "reptile"]\ndataset = "toy"\nengine = "vmap"\n'
        'ways = "2..4"\nshots = "2..3"\nimbalance = 0.5\nqueries = 2\niterations = 1\nmeta_batch_size = 3\n'
        'test_episodes = 6\nvalidation_episodes = 2\ndevice = "cpu"\noptions.backbone.width = 4\n'
    )
    printed = project.run("suite", "sizes.toml", "-q")
    assert "2..4-way 2..3-shot" in printed.out and "classes with 1.50 to 0.500 times the shots" in printed.out
    records = [json.loads(path.read_text()) for path in sorted((project.path / "results").glob("*.json"))]
    notices = {record["spec"]["algorithm"]["name"]: " ".join(record["notices"]) for record in records}
    assert "Tasks of each size are computed apart" in notices["reptile"] and not notices["protonet"]
    assert all(len(set(record["test"]["episode_ways"])) > 1 for record in records)
    intervals = [record["test"]["metrics"]["accuracy"]["modes"]["transductive"] for record in records]
    assert all(interval["score_new_classes"] is not None for interval in intervals)
    assert len([*(project.path / "results").glob("*/episodes.png")]) == 2  # sample episodes of one size
