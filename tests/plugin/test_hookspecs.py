import inspect

import pytest

from mamlbench.plugin import FILES, KINDS, PROJECT
from mamlbench.plugin import hookspecs as hooks

HOOKS = {name: hook for name, hook in vars(hooks).items() if name.startswith(f"{PROJECT}_")}


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_a_documented_specification(name):
    assert hasattr(HOOKS[name], f"{PROJECT}_spec")
    assert inspect.getdoc(HOOKS[name])


def test_there_is_a_registration_hook_for_every_kind_and_no_other():
    registration = {name for name in HOOKS if name.startswith(f"{PROJECT}_register_")}
    one_per_kind = {f"{PROJECT}_register_{kind}s" for kind in (*KINDS, *FILES)}
    assert registration == one_per_kind | {f"{PROJECT}_register_published"}
