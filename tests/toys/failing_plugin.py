"""Fails in every place in which the harness calls a plugin, in every way: ``-o where=... -o how=...``."""

import os
import sys

from pydantic import field_validator

import mamlbench
from mamlbench.api import Metric
from mamlbench_plugins.algorithms.fomaml import FOMAML


class Stop(BaseException):
    """Nothing that ``except Exception`` catches."""


def fail(how):
    """Fail: the line that a message has to name is this function's."""
    if how == "raises":
        raise ValueError("a plugin's\nmistake")
    if how == "stops":
        raise Stop("no exception")
    if how == "interrupts":
        raise KeyboardInterrupt
    if how == "leaves":
        os._exit(0)
    sys.exit(0)


class Failing(FOMAML):
    """Fails at ``where``."""

    class Options(FOMAML.Options):
        """Where and how it fails."""

        where: str = "nowhere"
        how: str = "exits"

        @field_validator("how")
        @classmethod
        def check_how(cls, how):
            """Fail while options are read."""
            if how.startswith("early "):
                fail(how.removeprefix("early "))
            return how

    def __init__(self, context, options):
        super().__init__(context, options)
        self._fail("init")

    def apply(self, update):
        super().apply(update)
        if self.outer.done >= 2:
            self._fail("step")

    def adaptation(self, support, keys):
        if self.outer.done:
            self._fail("validation")
        return super().adaptation(support, keys)

    def loss(self, state, query):
        return super().loss(state, query)

    def _fail(self, where):
        if self.options.where == where:
            fail(self.options.how)


class ExitingMetric(Metric):
    """Calls ``sys.exit`` when it is computed."""

    name = "exiting"
    unit = "%"
    higher_is_better = True
    kind = "classification"

    def compute(self, outputs, y):
        sys.exit(3)


@mamlbench.hookimpl
def mamlbench_register_algorithms(register):
    register("failing", Failing)


@mamlbench.hookimpl
def mamlbench_register_metrics(register):
    register("exiting", ExitingMetric)
