"""`make bench`: every measurement, one JSON line each. Nothing here passes or fails.

`python -m tests.bench decide regret` makes some of them only.
"""

import sys
from importlib import import_module

BENCHES = (
    "starting",
    "overhead",
    "recording",
    "decide",
    "assigning",
    "storage",
    "recompute",
    "equality",
    "statistics",
    "regret",
    "money",
    "experiments",
    "trying",
)

for name in sys.argv[1:] or BENCHES:
    import_module(f"tests.bench.{name}").main()
