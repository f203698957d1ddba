"""The linear probe: its steps reach the optimum of the regularized logistic regression."""

import torch
from torch.nn.functional import cross_entropy, normalize


def optimum(features, y, penalty, ways=3):
    """The head by torch's L-BFGS, from zeros."""
    x = torch.cat([normalize(features), torch.ones(len(y), 1, dtype=features.dtype)], 1).detach()
    head = torch.zeros(ways, x.shape[1], dtype=x.dtype, requires_grad=True)
    solver = torch.optim.LBFGS([head], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def objective():
        solver.zero_grad()
        loss = cross_entropy(x @ head.T, y) + penalty / 2 * head[:, :-1].square().sum()
        loss.backward()
        return loss

    solver.step(objective)
    return head.detach()


def test_many_steps_reach_the_optimum(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("linear-probe", inverse_penalty=2.0, test_steps=500), make_batch(tasks=2)
    outputs = algorithm.adapt(batch.support, batch.keys).predict(batch.query.x, "transductive")
    for task in range(2):
        support, query = (algorithm.model.features(algorithm.meta, part.x[task]) for part in batch[:2])
        head = optimum(support, batch.support.y[task], 1 / (2.0 * 6))
        by_hand = (normalize(query) @ head[:, :-1].T + head[:, -1]).softmax(-1)
        torch.testing.assert_close(outputs[task].softmax(-1), by_hand, rtol=0, atol=1e-4)


def test_the_features_stay_as_they_are(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("linear-probe", test_steps=3), make_batch(tasks=2)
    states = algorithm.adapt(batch.support, batch.keys).states
    assert set(states.head) == {"head.weight", "head.bias"}


def test_the_loss_falls_from_step_to_step_at_first(make_algorithm, make_batch):
    algorithm, batch = make_algorithm("linear-probe", test_steps=5), make_batch(tasks=1)
    losses = []
    for adapted in algorithm.adaptation(batch.support, batch.keys):
        outputs = adapted.predict(batch.support.x, "transductive")[0]
        losses.append(float(cross_entropy(outputs, batch.support.y[0])))
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
