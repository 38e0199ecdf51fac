"""
One of several processes that write scores at once: ``python score_writer.py PLACE NUMBER UPDATES``.

It prints the number of each update as soon as its store has taken it. Every name is written once, so that each is
missed if it is lost, and three of each process go to one room, so that all write there at about the same time.
"""

import os
import sys
import time
from typing import Any

from shared.server.score_stores import open_scores
from shared.server.score_url import parse_score_place

IN_A_ROOM = 3
PAUSE_S = 0.0005
"""Until it is tried again, if somebody else has the store locked."""


def written(number: int, update: int) -> tuple[str, str, int]:
    """Return the room, the name and the score of an update of the process ``number``."""
    return f"room-{update // IN_A_ROOM}", f"p{number} {update}", 1 + update


def main(place: str, number: int, updates: int) -> None:
    scores: Any = open_scores(parse_score_place(place), max_rooms=updates)
    for update in range(updates):
        room, name, score = written(number, update)
        scores.save(room, [(name, score)])
        while room in scores._waiting:
            if scores.look(time.monotonic_ns() // 1000):
                scores.write_back()
            elif room in scores._waiting:
                time.sleep(PAUSE_S)
        os.write(sys.stdout.fileno(), f"{update}\n".encode())
    scores.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
