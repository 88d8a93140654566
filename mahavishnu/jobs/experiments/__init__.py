"""Experiments: how they come and go, what is read of them, what that comes to, and how it is told."""

from mahavishnu.jobs.experiments.check import (
    Checked,
    check,
    check_layer,
    check_names,
    create,
    pause,
    recompute,
    resume,
    run_of,
    start,
    stop,
)
from mahavishnu.jobs.experiments.publication import publish_ends

__all__ = [
    "Checked",
    "check",
    "check_layer",
    "check_names",
    "create",
    "pause",
    "publish_ends",
    "recompute",
    "resume",
    "run_of",
    "start",
    "stop",
]
