"""How Hypothesis looks for examples: the same ones at every gate, fresh and many more when it explores."""

import os

from hypothesis import Phase, settings

PROFILE = os.environ.get("TESTS_PROFILE", "gate")
# Explaining a failure traces every line, and under the tracer of Python 3.11 a test once looped for ever.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink)
FUZZ_TIMES = 20


def load_profile() -> None:
    """`gate` never fails by chance. `fuzz` has fresh seeds and keeps what it finds in .hypothesis."""
    settings.register_profile("gate", phases=PHASES, deadline=None, derandomize=True, database=None)
    settings.register_profile(
        "fuzz", phases=PHASES, deadline=None, max_examples=100 * FUZZ_TIMES, print_blob=True, derandomize=False
    )
    settings.load_profile(PROFILE)


def examples(number: int, **others: object) -> settings:
    """So many examples at the gate, and as many times more in `make fuzz` as for every other law."""
    return settings(max_examples=number * (FUZZ_TIMES if PROFILE == "fuzz" else 1), **others)  # type: ignore[arg-type]
