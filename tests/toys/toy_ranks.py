"""Work for several processes that compute one run together."""

import io
import multiprocessing
import os

import torch

from mamlbench.api import MamlbenchError
from mamlbench.plugin import load_plugins
from mamlbench.runner.build import build_experiment, load_dataset
from mamlbench.runner.execute import perform
from mamlbench.runner.ranks.rank_group import joined_ranks
from mamlbench.runner.ranks.rank_place import rank_place
from mamlbench.runner.ranks.shares import refuse_unshardable, training_share, whole_update

TINY = {
    "dataset": "toy",
    "ways": 3,
    "queries": 2,
    "test_episodes": 230,
    "validation_episodes": 20,
    "meta_batch_size": 4,
    "engine": "vmap",
    "precision": "float64",
}


def experiment_of(job):
    plugins = load_plugins(job.plugins)
    dataset = load_dataset(job.spec, plugins, job.folders)
    return build_experiment(job.spec, plugins, dataset)


def updates(jobs, iterations=(0, 1)):
    """Updates of the first iterations at the initial parameters, or the sentence that refuses them."""
    return [_updates(job, iterations) for job in jobs]


def _updates(job, iterations):
    experiment = experiment_of(job)
    with joined_ranks(rank_place(), torch.device("cpu")) as ranks:
        experiment.ranks = ranks
        try:
            refuse_unshardable(experiment)
        except MamlbenchError as error:
            return str(error)
        reduced = []
        for iteration in iterations:
            batch, examples = training_share(experiment, iteration)
            update = whole_update(experiment, iteration, batch)
            reduced.append((dict(update.sums), update.loss, update.count, examples))
        return reduced


def runs(jobs):
    """The record of each run."""
    return [perform(job) for job in jobs]


def in_ranks(count, folder, method, work, *arguments):
    """Return what ``work`` returns in each of ``count`` processes, or the error that it raises."""
    context = multiprocessing.get_context(method)
    started = []
    for rank in range(count):
        receiver, sender = context.Pipe(duplex=False)
        place = {"RANK": rank, "WORLD_SIZE": count, "MAMLBENCH_RENDEZVOUS": folder / "rendezvous"}
        names = {name: str(value) for name, value in place.items()} | {"GLOO_SOCKET_IFNAME": "lo"}
        process = context.Process(target=_work, args=(sender, names, work, arguments))
        process.start()
        sender.close()
        started.append((process, receiver))
    answers = [_answer(receiver) for _, receiver in started]
    for process, receiver in started:
        process.join(30)
        assert process.exitcode is not None
        receiver.close()
    return answers


def _answer(receiver):
    try:
        return torch.load(io.BytesIO(receiver.recv_bytes()), weights_only=False)
    except EOFError:
        return "no answer"


def _work(sender, names, work, arguments):
    os.environ.update(names)
    torch.set_num_threads(1)
    try:
        answer = work(*arguments)
    except Exception as error:
        answer = error
    content = io.BytesIO()
    torch.save(answer, content)  # by value: shared memory would end with this process
    sender.send_bytes(content.getvalue())
    sender.close()
