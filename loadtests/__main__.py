"""Run Locust with this load test: ``python -m loadtests [URL]``, as :mod:`loadtests.command_line` says."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run Locust in this process, or say what its command line can be."""
    for variable in [name for name in os.environ if name.startswith("LOCUST_")]:
        del os.environ[variable]

    from locust import argument_parser  # noqa: PLC0415 - it reads environment variables
    from locust.main import main as locust  # noqa: PLC0415 - as above

    from loadtests import command_line  # noqa: PLC0415 - as above

    if sys.argv[1:] == ["--check"]:
        command_line.check_lines()
    elif {"-h", "--help"} & set(sys.argv):
        command_line.whole_parser().print_help()
    else:
        argument_parser.LocustArgumentParser = command_line.LoadParser  # type: ignore[misc] # it is looked up there
        sys.argv = ["locust", "-f", str(Path(__file__).with_name("locustfile.py")), *sys.argv[1:]]
        locust()  # type: ignore[no-untyped-call] # untyped in Locust


if __name__ == "__main__":
    main()
