"""`make bench`: every measurement, one JSON line each. Nothing here passes or fails."""

from tests.bench import overhead

for bench in (overhead,):
    bench.main()
