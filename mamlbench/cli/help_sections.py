"""Help pages whose options stand in sections, the same ones for all commands."""

from __future__ import annotations

import re
from collections import defaultdict

import click

from mamlbench.run_spec.bounds import MOST, MOST_SEED

SECTIONS = {
    "What is run": "algorithms dataset datasets min_images backbone sampler preset init options variants scale label",
    "Training": "iterations meta_batch_size train_ways train_shots train_queries seed seeds on_divergence allow_leak",
    "Tuning": "budget length validations sampler_seed",
    "Validation": "validate_every validation_episodes target_score",
    "Test episodes": "ways shots queries steps hold_out mode test_episodes test_until test_sampling label_noise "
    "corrupt episode_seed resize",
    "Scores": "modes metrics keep_predictions across rope population",
    "What is done again": "resume checkpoint_every checkpoint_seconds dry_run retry_failed fresh join changes require",
    "Device and speed": "device engine precision deterministic launcher",
    "Tables and figures": "format_ output figure columns metric sort notes tuned published title private",
}
"""Section to the names of its options; those of no section come last."""

OTHERS = "Folders, plugins and output"

WITHOUT_LIMIT = re.compile(rf"(\d+)<=x<=(?:{MOST}|{MOST_SEED})")
"""A range whose upper end says nothing."""


class SectionedCommand(click.Command):
    """A command with many options, whose help page has sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        section_of = {name: title for title, names in SECTIONS.items() for name in names.split()}
        sections: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                option, text = record
                shown = (option.replace("INTEGER RANGE", "N"), WITHOUT_LIMIT.sub(r"x>=\1", text))
                sections[section_of.get(str(parameter.name), OTHERS)].append(shown)
        for title in (*SECTIONS, OTHERS):
            if sections[title]:
                with formatter.section(title):
                    formatter.write_dl(sections[title])
