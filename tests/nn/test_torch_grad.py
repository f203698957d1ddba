"""``torch.func.grad`` while an engine computes: ours where it is the same, torch's own everywhere else."""

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
def taken(monkeypatch):
    """Which gradients took the path of ``mamlbench.api.grad``: one entry each."""
    torch_grad_route()  # its trial does not count
    calls, ours = [], torch_grad.by_reverse_mode
    monkeypatch.setattr(torch_grad, "by_reverse_mode", lambda *given: calls.append(1) or ours(*given))
    return calls


@pytest.fixture
def task():
    return {"w": random(TASKS, 4), "v": random(TASKS, 2, seed=1)}, random(TASKS, 4, seed=2)


def close(ours, expected):
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-12)


def two(a, b):
    value = loss(a, b)
    return value, {"twice": 2 * value, "seen": b}


FORMS = {
    "grad": grad(loss),
    "grad_and_value": grad_and_value(loss),
    "by both arguments": grad(loss, argnums=(0, 1)),
    "by the last argument": grad_and_value(loss, argnums=-1),
    "something beside": grad(two, has_aux=True),
    "something beside the value": grad_and_value(two, argnums=(0,), has_aux=True),
    "a keyword": lambda a, b: grad(loss)(a, b, power=2),
}


@pytest.mark.parametrize("enabled", [True, False], ids=["gradients enabled", "no_grad"])
@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_the_same(name, task, taken, enabled):
    with torch.set_grad_enabled(enabled):
        expected = vmap(FORMS[name])(*task)
        assert not taken
        with route_torch_grad():
            close(vmap(FORMS[name])(*task), expected)
    assert len(taken) == 1


def test_outside_vmap_only_where_nothing_differentiates_it(task, taken):
    a, b = {name: value[0] for name, value in task[0].items()}, task[1][0]
    expected = grad(loss)(a, b)
    with route_torch_grad():
        close(grad(loss)(a, b), expected)
        assert not taken
        with torch.no_grad():
            close(grad(loss)(a, b), expected)
    assert len(taken) == 1


def test_it_can_be_differentiated_by_what_is_around(task, taken):
    def outer(w, b):
        slope = grad(lambda w: loss({"w": w, "v": w[:2]}, b))
        return loss({"w": w - 0.1 * slope(w), "v": w[2:]}, b)

    def outer_gradient():
        w = task[0]["w"].clone().requires_grad_()
        return torch.autograd.grad(vmap(outer)(w, task[1]).sum(), w)[0]

    expected = outer_gradient()
    with route_torch_grad():
        close(outer_gradient(), expected)
    assert len(taken) == 1


def curvature(w, b):
    """Gradient of a gradient."""
    return grad(lambda w: grad(lambda w: loss({"w": w, "v": w[:2]}, b))(w).square().sum())(w)


TORCHS = {
    "vjp": lambda w, b: vjp(lambda w: (w * b).sin(), w)[1](w)[0],
    "jacrev": lambda w, b: jacrev(lambda w: (w * b).sin())(w),
    "hessian": lambda w, b: hessian(lambda w: loss({"w": w, "v": w[:2]}, b))(w),
    "jvp of a gradient": lambda w, b: jvp(grad(lambda w: loss({"w": w, "v": w[:2]}, b)), (w,), (b,))[1],
    "vjp of a gradient": lambda w, b: vjp(grad(lambda w: loss({"w": w, "v": w[:2]}, b)), w)[1](b)[0],
    "a vmap inside": lambda w, b: vmap(grad(lambda w: loss({"w": w, "v": w[:2]}, b)))(w.expand(2, -1)),
}


@pytest.mark.parametrize("name", TORCHS)
def test_other_transforms_are_torchs(name, task, taken, forward_mode):
    expected = vmap(TORCHS[name])(task[0]["w"], task[1])
    with route_torch_grad():
        close(vmap(TORCHS[name])(task[0]["w"], task[1]), expected)
    assert not taken


def test_of_two_gradients_the_inner_one_is_torchs(task, taken):
    w = task[0]["w"]
    expected = vmap(curvature)(w, task[1])
    with route_torch_grad():
        close(vmap(curvature)(w, task[1]), expected)
    assert len(taken) == 1

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
def test_what_torch_refuses_is_refused(name):
    with pytest.raises((RuntimeError, ValueError)):
        REFUSED[name]()
    with route_torch_grad(), pytest.raises((RuntimeError, ValueError)):
        REFUSED[name]()


def test_torchs_function_is_back_when_the_last_engine_is_done():
    torchs = eager_transforms.grad_and_value_impl
    with route_torch_grad():
        with route_torch_grad():
            pass
        assert eager_transforms.grad_and_value_impl is not torchs
    assert eager_transforms.grad_and_value_impl is torchs
    with pytest.raises(KeyError), route_torch_grad():
        raise KeyError
    assert eager_transforms.grad_and_value_impl is torchs


def test_another_thread_keeps_its_own_stack_of_transforms(task):
    """One thread is inside vmap; the other one's gradient is outside, and is taken for what it is."""
    results = []

    def elsewhere():
        results.append(grad(torch.square)(torch.tensor(3.0)))

    def waiting(w, b):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return grad(lambda w: loss({"w": w, "v": w[:2]}, b))(w)

    expected = vmap(waiting)(task[0]["w"], task[1])
    with route_torch_grad():
        close(vmap(waiting)(task[0]["w"], task[1]), expected)
    assert [float(result) for result in results] == [6.0, 6.0]


@pytest.mark.parametrize("broken", ["missing", "looked up elsewhere"])
def test_another_release_of_torch_keeps_its_own(broken, task, monkeypatch, taken):
    if broken == "missing":
        monkeypatch.setattr(torch_grad, "_torchs", None)
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
        assert not taken
    finally:
        torch_grad_route.cache_clear()


def test_this_release_takes_our_path():
    assert torch_grad_route() == "that of mamlbench.api.grad"


@pytest.mark.parametrize("engine", [VmapEngine(), VmapEngine(differentiation="remat"), LoopEngine()])
@pytest.mark.parametrize("name", ["maml", "fomaml", "anil", "meta-sgd", "maml++", "imaml"])
def test_a_method_may_be_written_with_either(name, engine, make_algorithm, make_batch, monkeypatch):
    expected = make_algorithm(name, LoopEngine(), train_steps=2).compute_update(make_batch(tasks=2)).sums
    module = type(make_algorithm(name)).step.__globals__
    for home in (module, make_algorithm("maml").step.__globals__):
        for function in ("grad", "grad_and_value"):
            if function in home:
                monkeypatch.setitem(home, function, getattr(torch.func, function))
    if "inner_gradient" in module:
        from mamlbench.nn import inner_gradient as home

        monkeypatch.setattr(home, "grad", torch.func.grad)
    ours = make_algorithm(name, engine, train_steps=2).compute_update(make_batch(tasks=2)).sums
    for key, value in expected.items():
        close(ours[key], value)
