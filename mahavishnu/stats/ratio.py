"""Sample ratio: whether the arms were filled as they were to be, at any time.

An experiment whose records are lost, doubled or misrouted in one arm only cannot be read, whatever its outcomes say.
The e-value is the Dirichlet-multinomial one (M. Lindon and A. Malek, Anytime-valid inference for multinomial count
data, NeurIPS 2022): the likelihood of the assignments, averaged over shares near the right one, over that under the
right one.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

from mahavishnu.stats.betting import e_value, randomised

FIRMNESS = 200.0
"""How many assignments the belief that the share is nearly right weighs: finds a fifth more or less soonest."""


class RatioBet:
    """The wealth of betting that the next task falls to the arm that has had more than its due so far.

    The arms' counts over what was expected of them tilt the share: with one share throughout that is exactly the
    Dirichlet-multinomial predictive with 200 imagined tasks; with one that ramps it is its like, and as valid.

    >>> ratio = RatioBet()
    >>> for number in range(1_000):
    ...     ratio.add(number % 5 == 0, 0.1)
    >>> ratio.e_value > 1000, round(ratio.share, 2), round(ratio.expected, 2)
    (True, 0.2, 0.1)
    """

    __slots__ = ("_due", "_log", "assigned", "treated")

    def __init__(self) -> None:
        self.assigned = 0
        self.treated = 0
        self._due = 0.0
        self._log = 0.0

    def add(self, treated: bool, probability: float | None) -> None:
        """One task that was to be treated with this probability, and was or was not."""
        share = randomised(probability)
        more = (self.treated + FIRMNESS * share) / (self._due + FIRMNESS * share)
        spared = FIRMNESS * (1 - share)
        spared_due = self.assigned - self._due
        if spared_due < 0:
            # What is due is a sum of many roundings, and may come out as more than there was.
            spared_due = 0.0
        others = (self.assigned - self.treated + spared) / (spared_due + spared)
        self._log += log((more if treated else others) / (share * more + (1 - share) * others))
        self.assigned += 1
        self.treated += treated
        self._due += share

    @property
    def e_value(self) -> float:
        """While assignment is as it was written down, at least 1/α at any time ever with probability α at most."""
        return e_value((self._log,))

    @property
    def share(self) -> float | None:
        return self.treated / self.assigned if self.assigned else None

    @property
    def expected(self) -> float | None:
        return self._due / self.assigned if self.assigned else None

    def kept(self) -> dict[str, Any]:
        """All it remembers, for JSON, which keeps floats exactly."""
        return {"assigned": self.assigned, "treated": self.treated, "due": self._due, "log": self._log}

    @classmethod
    def resumed(cls, kept: Mapping[str, Any]) -> RatioBet:
        ratio = cls()
        ratio.assigned, ratio.treated = kept["assigned"], kept["treated"]
        ratio._due, ratio._log = kept["due"], kept["log"]
        return ratio
