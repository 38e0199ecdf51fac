"""``python -m tickbench``."""

import sys

from tickbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
