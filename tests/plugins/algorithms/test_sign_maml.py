"""Sign-MAML: every weight moves by the same amount, and the first-order meta-gradient is exact."""

import torch

from mamlbench.api import Examples


def test_every_weight_moves_by_the_rate_against_its_gradient(make_algorithm, make_batch):
    algorithm, maml = make_algorithm("sign-maml", inner_lr=0.02), make_algorithm("maml", inner_lr=1.0)
    batch = make_batch(tasks=1)
    support = Examples(batch.support.x[0], batch.support.y[0])
    state = algorithm.step(algorithm.init(algorithm.meta, support), support)
    of_maml = maml.step(maml.init(maml.meta, support), support)
    for name in algorithm.adapted:
        gradient = maml.meta[name] - of_maml[name]
        torch.testing.assert_close(state[name], algorithm.meta[name] - 0.02 * gradient.sign(), rtol=0, atol=1e-12)
    assert all(torch.equal(state[name], algorithm.meta[name]) for name in state if name not in algorithm.adapted)


def test_the_meta_gradient_is_the_query_gradient_at_the_adapted_parameters(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("sign-maml", inner_lr=0.02, train_steps=3), make_batch(tasks=1)
    support, query = (Examples(part.x[0], part.y[0]) for part in batch[:2])
    state = algorithm.init(algorithm.meta, support)
    for _ in range(3):
        state = algorithm.step(state, support)
    adapted = {name: value.detach().clone().requires_grad_() for name, value in state.items()}
    loss = torch.nn.functional.cross_entropy(algorithm.model(adapted, query.x), query.y)
    gradients = torch.autograd.grad(loss, list(adapted.values()))
    update = algorithm.compute_update(batch)
    for name, gradient in zip(adapted, gradients, strict=True):
        torch.testing.assert_close(update.sums[name], gradient, rtol=1e-9, atol=1e-12)
