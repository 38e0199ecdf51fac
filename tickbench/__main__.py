"""Entry point of ``python -m tickbench``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts the working directory first on the path. It is dropped unless it is our checkout: a folder of the
    # user's that happens to be called "shared" is not ours.
    if sys.path[0] != str(Path(__file__).resolve().parents[1]) and not sys.flags.safe_path:
        del sys.path[0]

    from tickbench.cli import main

    sys.exit(main())
