"""Everything in the public API has a docstring, with shapes and the errors that it raises."""

import ast
import importlib
import inspect
import re
import textwrap

import pytest
from pydantic import BaseModel

import mamlbench
import mamlbench.api
import mamlbench.testing
from mamlbench import record, run_spec

MODULES = (mamlbench, mamlbench.api, mamlbench.testing)
TENSORS = re.compile(r"\b(Tensor|Examples|EpisodeBatch|NDArray|Keys|Hashes|Pixels)\b")
BY_NAME = re.compile(r"\bParameters\b|(?:dict|Mapping)\[str, Tensor\]")
SHAPE = re.compile(r"``\[|\bscalar\b|``uint8|\b(shape|shapes)\b")
SPECIAL = {"__call__", "__add__", "__post_init__", "__init__"}


def public(kind):
    """(name, value) of all public classes or functions of this project."""
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if kind(value) and getattr(value, "__module__", "").startswith("mamlbench"):
                yield name, value


def members(cls):
    """(name, function, documentation, inherited or its own) of the methods and properties that a class defines."""
    for name, value in vars(cls).items():
        wrapped = getattr(value, "func", getattr(value, "__func__", value))  # cached properties, class methods
        function = value.fget if isinstance(value, property) else wrapped
        own = inspect.isfunction(function) and function.__module__ == cls.__module__  # not what a Protocol is given
        if own and (not name.startswith("_") or name in SPECIAL):
            yield name, function, inspect.getdoc(cls if name.endswith("init__") else getattr(cls, name)) or ""


CLASSES = dict(public(inspect.isclass))
FUNCTIONS = {
    **{name: (value, inspect.getdoc(value) or "") for name, value in public(inspect.isroutine)},
    **{
        f"{cls}.{name}": (function, docstring)
        for cls, value in CLASSES.items()
        for name, function, docstring in members(value)
        if hasattr(function, "__code__") and function.__code__.co_filename != "<string>"
    },
}


def without_shape(types, docstring):
    """What is wrong with the words on values of these types."""
    if TENSORS.search(BY_NAME.sub("", types)) and not SHAPE.search(docstring):
        return "a tensor without a shape"
    if BY_NAME.search(types) and not (SHAPE.search(docstring) or "by name" in docstring):
        return "tensors of a dictionary, neither 'by name' nor with a shape"
    return ""


def types_of(function):
    """The annotations of a function, as text."""
    signature = inspect.signature(function)
    annotations = (parameter.annotation for parameter in signature.parameters.values())
    return " ".join(map(str, (signature.return_annotation, *annotations)))


def raised(function):
    """Names of the errors that a function raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = (node.exc.func for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call))
    return {call.id for call in calls if isinstance(call, ast.Name)}


def test_there_is_much_to_look_at():
    assert len(CLASSES) > 40 and len(FUNCTIONS) > 130


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_says_what_it_is(name):
    cls = CLASSES[name]
    assert vars(cls).get("__doc__") and not cls.__doc__.startswith(f"{name}("), "no docstring of its own"
    fields = " ".join(map(str, inspect.get_annotations(cls).values()))
    assert not without_shape(fields, cls.__doc__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_does_with_shapes_and_errors(name):
    function, docstring = FUNCTIONS[name]
    assert docstring
    if not name.endswith("_init__"):  # its class documents the arguments
        assert not without_shape(types_of(function), docstring)
    assert not [error for error in raised(function) if error not in docstring]


def test_every_constant_and_alias_is_explained():
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            plain = not (
                inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)
            ) or not value.__module__.startswith("mamlbench")
            if plain and name != "__version__":
                assert explained(module, name), f"{module.__name__}.{name}: put a string below its assignment"


def explained(module, name):
    """Whether a string stands below the assignment, wherever the name comes from."""
    body = ast.parse(inspect.getsource(module)).body
    lazy = next((node.body for node in body if isinstance(node, ast.If)), [])  # under TYPE_CHECKING
    body = [*lazy, *body]
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return explained(importlib.import_module(node.module), name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return (
                isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            )
    raise LookupError(name)


MODELS = {
    model.__name__: model
    for module in (run_spec, record)
    for model in (getattr(module, name) for name in module.__all__)
    if inspect.isclass(model) and issubclass(model, BaseModel)
}


@pytest.mark.parametrize("name", MODELS)
def test_every_field_of_specs_and_records_is_described(name):
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(MODELS[name]))).body
    below = dict(zip(tree.body, tree.body[1:], strict=False))
    described = {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(getattr(below.get(node), "value", None), ast.Constant)
    }
    fields = MODELS[name].model_fields
    assert not [field for field in fields if not fields[field].description and field not in described]


def test_a_gap_is_noticed():
    assert without_shape("Tensor", "The sum.") and not without_shape("Tensor", "The sum, a scalar.")
    assert without_shape("Parameters", "All.") and not without_shape("Parameters", "All, by name.")

    def careless():
        raise ValueError("no")

    assert raised(careless) == {"ValueError"}
