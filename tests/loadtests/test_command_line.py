"""The load test says of command lines whether it would take them, and loads nothing."""

import json
import subprocess
import sys

LINES = {
    "--scenario steady --duration 2 --share 5": None,
    "--scenario stedy": "stedy",
    "--shares": "--shares",
    "--share 200": "right would be a number from 0 to 100",
    "--duration long": "--duration",
    "--help": "loads nothing",
    "--slots": None,
    "--slots --scenario storm": "--slots: scenario storm has a course of its own; right would be one of idle, ",
}


def test_what_is_wrong_with_each_command_line_is_said_in_one_line() -> None:
    asked = json.dumps([["ws://127.0.0.1:1", "--headless", "--users", "5", *line.split()] for line in LINES])
    command = [sys.executable, "-m", "loadtests", "--check"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    for (line, words), said in zip(LINES.items(), answers, strict=True):
        assert (said is None) is (words is None), (line, said)
        assert words is None or words in said, (line, said)
        assert said is None or "\n" not in said
