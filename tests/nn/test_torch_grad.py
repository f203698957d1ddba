"""``torch.func.grad`` while an engine computes: routed if the numbers are the same, else torch's own."""

import threading

import pytest
import torch
from torch._functorch import eager_transforms
from torch.func import grad, grad_and_value, hessian, jacrev, jvp, vjp, vmap

from mamlbench.engine import LoopEngine, VmapEngine
from mamlbench.nn import torch_grad
from mamlbench.nn.torch_grad import route_torch_grad, torch_grad_route

TASKS = 3


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss(a, b, power=3):
    return ((a["w"] * b).sin().sum() + a["w"].pow(power).sum()) * a["v"].exp().sum()


@pytest.fixture
def routed(monkeypatch):
    """One entry for each gradient that took the path of ``mamlbench.api.grad``."""
    torch_grad_route()  # its trial does not count
    calls, original = [], torch_grad.by_reverse_mode
    monkeypatch.setattr(torch_grad, "by_reverse_mode", lambda *arguments: calls.append(1) or original(*arguments))
    return calls


@pytest.fixture
def task():
    return {"w": random(TASKS, 4), "v": random(TASKS, 2, seed=1)}, random(TASKS, 4, seed=2)


def close(computed, expected):
    torch.testing.assert_close(computed, expected, rtol=1e-9, atol=1e-12)


def with_auxiliary(a, b):
    value = loss(a, b)
    return value, {"twice": 2 * value, "seen": b}


FORMS = {
    "grad": grad(loss),
    "grad_and_value": grad_and_value(loss),
    "by both arguments": grad(loss, argnums=(0, 1)),
    "by the last argument": grad_and_value(loss, argnums=-1),
    "auxiliary": grad(with_auxiliary, has_aux=True),
    "value and auxiliary": grad_and_value(with_auxiliary, argnums=(0,), has_aux=True),
    "a keyword": lambda a, b: grad(loss)(a, b, power=2),
}


@pytest.mark.parametrize("enabled", [True, False], ids=["gradients enabled", "no_grad"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_torchs_result(name, task, routed, enabled):
    with torch.set_grad_enabled(enabled):
        expected = vmap(FORMS[name])(*task)
        assert not routed
        with route_torch_grad():
            close(vmap(FORMS[name])(*task), expected)
    assert len(routed) == 1


def test_outside_vmap_only_outermost_gradients_are_routed(task, routed):
    a, b = {name: value[0] for name, value in task[0].items()}, task[1][0]
    expected = grad(loss)(a, b)
    with route_torch_grad():
        close(grad(loss)(a, b), expected)
        assert not routed
        with torch.no_grad():
            close(grad(loss)(a, b), expected)
    assert len(routed) == 1


def test_a_routed_gradient_can_be_differentiated_outside_vmap(task, routed):
    def outer(w, b):
        gradient = grad(lambda w: loss({"w": w, "v": w[:2]}, b))
        return loss({"w": w - 0.1 * gradient(w), "v": w[2:]}, b)

    def outer_gradient():
        w = task[0]["w"].clone().requires_grad_()
        return torch.autograd.grad(vmap(outer)(w, task[1]).sum(), w)[0]

    expected = outer_gradient()
    with route_torch_grad():
        close(outer_gradient(), expected)
    assert len(routed) == 1


def curvature(w, b):
    """Gradient of a gradient."""
    return grad(lambda w: grad(lambda w: loss({"w": w, "v": w[:2]}, b))(w).square().sum())(w)


NOT_ROUTED = {
    "vjp": lambda w, b: vjp(lambda w: (w * b).sin(), w)[1](w)[0],
    "jacrev": lambda w, b: jacrev(lambda w: (w * b).sin())(w),
    "hessian": lambda w, b: hessian(lambda w: loss({"w": w, "v": w[:2]}, b))(w),
    "jvp of a gradient": lambda w, b: jvp(grad(lambda w: loss({"w": w, "v": w[:2]}, b)), (w,), (b,))[1],
    "vjp of a gradient": lambda w, b: vjp(grad(lambda w: loss({"w": w, "v": w[:2]}, b)), w)[1](b)[0],
    "a vmap inside": lambda w, b: vmap(grad(lambda w: loss({"w": w, "v": w[:2]}, b)))(w.expand(2, -1)),
}


@pytest.mark.parametrize("name", NOT_ROUTED)
def test_other_transforms_are_not_routed(name, task, routed, forward_mode):
    expected = vmap(NOT_ROUTED[name])(task[0]["w"], task[1])
    with route_torch_grad():
        close(vmap(NOT_ROUTED[name])(task[0]["w"], task[1]), expected)
    assert not routed


def test_of_nested_gradients_only_the_outer_one_is_routed(task, routed):
    w = task[0]["w"]
    expected = vmap(curvature)(w, task[1])
    with route_torch_grad():
        close(vmap(curvature)(w, task[1]), expected)
    assert len(routed) == 1

    def outer_gradient():
        leaf = w.clone().requires_grad_()
        return torch.autograd.grad(vmap(curvature)(leaf, task[1]).sum(), leaf)[0]

    expected = outer_gradient()
    with route_torch_grad():
        close(outer_gradient(), expected)


REFUSED = {
    "no scalar": lambda: vmap(grad(lambda x: x))(torch.ones(2, 3)),
    "no tensor": lambda: vmap(grad(lambda x: 1.0))(torch.ones(2)),
    "no pair": lambda: vmap(grad(lambda x: x, has_aux=True))(torch.ones(2)),
    "integers": lambda: vmap(grad(lambda x: x))(torch.ones(2, dtype=torch.int64)),
    "no such argument": lambda: vmap(grad(lambda x: x, argnums=1))(torch.ones(2)),
    "one argument twice": lambda: vmap(grad(lambda x: x, argnums=(0, 0)))(torch.ones(2)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_that_torch_refuses_are_refused(name):
    with pytest.raises((RuntimeError, ValueError)):
        REFUSED[name]()
    with route_torch_grad(), pytest.raises((RuntimeError, ValueError)):
        REFUSED[name]()


def test_torchs_function_is_restored_when_the_last_engine_is_done():
    original = eager_transforms.grad_and_value_impl
    with route_torch_grad():
        with route_torch_grad():
            pass
        assert eager_transforms.grad_and_value_impl is not original
    assert eager_transforms.grad_and_value_impl is original
    with pytest.raises(KeyError), route_torch_grad():
        raise KeyError
    assert eager_transforms.grad_and_value_impl is original


def test_another_thread_has_its_own_stack_of_transforms(task):
    """One thread is inside vmap; the gradient of the other one is outside."""
    results = []

    def outside_vmap():
        results.append(grad(torch.square)(torch.tensor(3.0)))

    def with_another_thread(w, b):
        thread = threading.Thread(target=outside_vmap)
        thread.start()
        thread.join()
        return grad(lambda w: loss({"w": w, "v": w[:2]}, b))(w)

    expected = vmap(with_another_thread)(task[0]["w"], task[1])
    with route_torch_grad():
        close(vmap(with_another_thread)(task[0]["w"], task[1]), expected)
    assert [float(result) for result in results] == [6.0, 6.0]


@pytest.mark.parametrize("broken", ["missing", "looked up elsewhere"])
def test_with_other_internals_torchs_function_stays(broken, task, monkeypatch, routed):
    if broken == "missing":
        monkeypatch.setattr(torch_grad, "_torch_impl", None)
    else:
        own = eager_transforms.grad_and_value_impl
        monkeypatch.setattr(torch._functorch.apis, "grad", lambda f: lambda x: own(f, 0, False, (x,), {})[0])
        monkeypatch.setattr(torch_grad, "_NAME", "_another_name")
        monkeypatch.setattr(eager_transforms, "_another_name", own, raising=False)
    torch_grad_route.cache_clear()
    try:
        assert torch_grad_route().startswith("torch's own: this release")
        expected = vmap(grad(loss))(*task)
        with route_torch_grad():
            close(vmap(grad(loss))(*task), expected)
        assert not routed
    finally:
        torch_grad_route.cache_clear()


def test_this_release_of_torch_is_routed():
    assert torch_grad_route() == "that of mamlbench.api.grad"


@pytest.mark.parametrize("engine", [VmapEngine(), VmapEngine(differentiation="remat"), LoopEngine()])
@pytest.mark.parametrize("name", ["maml", "fomaml", "anil", "meta-sgd", "maml++", "imaml"])
def test_methods_give_the_same_update_with_torch_func_grad(name, engine, make_algorithm, make_batch, monkeypatch):
    expected = make_algorithm(name, LoopEngine(), train_steps=2).compute_update(make_batch(tasks=2)).sums
    module = type(make_algorithm(name)).step.__globals__
    for home in (module, make_algorithm("maml").step.__globals__):
        for function in ("grad", "grad_and_value"):
            if function in home:
                monkeypatch.setitem(home, function, getattr(torch.func, function))
    if "inner_gradient" in module:
        from mamlbench.nn import inner_gradient as home

        monkeypatch.setattr(home, "grad", torch.func.grad)
    computed = make_algorithm(name, engine, train_steps=2).compute_update(make_batch(tasks=2)).sums
    for key, value in expected.items():
        close(computed[key], value)
