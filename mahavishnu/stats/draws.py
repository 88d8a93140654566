"""Many draws from Beta distributions at once."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from numpy.random import SFC64, Generator
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray


def beta_draws(alpha: NDArray[np.float64], beta: NDArray[np.float64], rng: Random) -> NDArray[np.float64]:
    """One draw for each pair of parameters; all chance comes from `rng`.

    >>> alpha, beta = np.full(50, 3.0), np.full(50, 2.0)
    >>> (beta_draws(alpha, beta, Random(1)) == beta_draws(alpha, beta, Random(1))).all()
    np.True_
    """
    # numpy's stubs know its own seed sequences only, its documentation every ISeedSequence.
    return Generator(SFC64(_Words(rng))).beta(alpha, beta)  # type: ignore[arg-type]


class _Words(ISeedSequence):
    """Hands a generator the words of another one as its seed.

    numpy's own way from a whole number to a seed takes as long as drawing for a hundred candidates.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        kind = np.dtype(dtype)
        return np.frombuffer(self._rng.randbytes(n_words * kind.itemsize), dtype=kind)
