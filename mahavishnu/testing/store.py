"""The promises that every store is held to: plain async functions, so that a stranger's store can prove itself.

    for promise in STORE_PROMISES:
        await promise(opener)

An opener gives stores on one place, opened; each promise wants a place of its own, with nothing in it yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from mahavishnu.testing.promises import (
    aggregates,
    alerts,
    budgets,
    catalogue,
    experiments,
    facts,
    keys,
    ledger,
    observations,
    outcomes,
    presence,
    queue,
    workflows,
)
from mahavishnu.testing.promises.places import Opener, Promise

__all__ = ["STORE_PROMISES", "Opener", "Promise"]

STORE_PROMISES: Sequence[Promise] = (
    *facts.PROMISES,
    *outcomes.PROMISES,
    *keys.PROMISES,
    *presence.PROMISES,
    *catalogue.PROMISES,
    *workflows.PROMISES,
    *aggregates.PROMISES,
    *alerts.PROMISES,
    *ledger.PROMISES,
    *budgets.PROMISES,
    *queue.PROMISES,
    *experiments.PROMISES,
    *observations.PROMISES,
)
