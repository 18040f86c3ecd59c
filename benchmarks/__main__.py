"""`python -m benchmarks`: all of them, or those that are named."""

import sys

from .session import main

if __name__ == "__main__":
    sys.exit(main())
