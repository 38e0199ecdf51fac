"""
Run Locust with this load test: ``python -m loadtests``, configured by its arguments alone.

Locust would also take settings from ``locust.conf`` and ``pyproject.toml`` in the working directory, from
``~/.locust.conf`` and from environment variables, which may be meant for another load test.
"""

import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Run Locust in this process."""
    for variable in [name for name in os.environ if name.startswith("LOCUST_")]:
        del os.environ[variable]

    from locust import argument_parser  # noqa: PLC0415 - it reads environment variables
    from locust.main import main as locust  # noqa: PLC0415 - as above

    class ArgumentsAlone(argument_parser.LocustArgumentParser):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**(settings | {"default_config_files": ()}))

    if sys.argv[1:] == ["--check"]:
        from loadtests.check import answer  # noqa: PLC0415 - as above

        sys.exit(answer())
    argument_parser.LocustArgumentParser = ArgumentsAlone  # type: ignore[misc] # it is looked up where it is used
    sys.argv = ["locust", "-f", str(Path(__file__).with_name("locustfile.py")), *sys.argv[1:]]
    locust()  # type: ignore[no-untyped-call] # untyped in Locust


if __name__ == "__main__":
    main()
