"""
One of several processes that write scores at once: ``python score_writer.py PLACE NUMBER UPDATES``.

It prints the number of each update as soon as its store has taken it. Every name is written once, so that each is
missed if it is lost, and three of each process go to one room, so that all write there at about the same time.
"""

import os
import sys
from itertools import count
from typing import Any

from shared.server.score_stores import open_scores
from shared.server.score_url import parse_score_place

IN_A_ROOM = 3
SECOND_US = 1_000_000


def written(number: int, update: int) -> tuple[str, str, int]:
    """Return the room, the name and the score of an update of the process ``number``."""
    return f"room-{update // IN_A_ROOM}", f"p{number} {update}", 1 + update


def main(place: str, number: int, updates: int) -> None:
    scores: Any = open_scores(parse_score_place(place), max_rooms=updates)
    times_us = count(step=SECOND_US)  # each look is later than all that is waited for
    for update in range(updates):
        room, name, score = written(number, update)
        scores.save(room, [(name, score)])
        while room in scores._waiting:
            if scores.look(next(times_us)):
                scores.write_back()
        os.write(sys.stdout.fileno(), f"{update}\n".encode())
    scores.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
