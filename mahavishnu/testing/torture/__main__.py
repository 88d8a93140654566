"""`python -m mahavishnu.testing.torture`."""

from __future__ import annotations

import sys

from mahavishnu.testing.torture.command import main

if __name__ == "__main__":
    sys.exit(main())
