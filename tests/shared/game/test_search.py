from shared.game.search import PathSearch
from shared.game.snake import LEFT, RIGHT, UP, Position

MANY = 10_000


def search(rows: str, steps: int = MANY) -> tuple[PathSearch, Position]:
    """Return a search of a drawn field (``.`` is empty, ``O`` the head), and where the head is."""
    field = {(x, y): char for y, row in enumerate(rows.split()) for x, char in enumerate(row)}

    def look(position: Position) -> int:
        char = field.get(position, "#")
        return int(char) if char.isdigit() else 0 if char == "." else -1

    (head,) = [position for position, char in field.items() if char == "O"]
    return PathSearch(look, steps), head


def test_it_goes_for_the_nearest_digit() -> None:
    there, head = search("9...O.1 .......")
    assert there.first_move(head, 3) == RIGHT


def test_it_goes_around_what_is_deadly() -> None:
    there, head = search(
        """
        .....
        .###.
        O#..5
        .###.
        .#...
        """
    )
    assert there.first_move(head, 3) == UP


def test_without_a_way_there_is_no_goal() -> None:
    there, head = search("O#5 .#. ##.")
    assert there.first_move(head, 1) is None
    there, head = search("O.. ...")
    assert there.first_move(head, 1) is None


def test_a_digit_in_a_trap_is_left_for_the_next_one() -> None:
    field = """
        ##########
        #5.O.....2
        ####......
        ####......
        """
    there, head = search(field)
    assert there.first_move(head, 2) == LEFT
    there, head = search(field)
    assert there.first_move(head, 3) == RIGHT


def test_it_never_takes_more_steps_than_it_has() -> None:
    for steps in range(60):
        there, head = search("O....... ........ .......1", steps)
        there.first_move(head, 3)
        assert there.steps >= 0
    there, head = search("O....... ........ .......1", 3)
    assert there.first_move(head, 3) is None


def test_a_place_that_cannot_be_seen_to_its_end_is_no_trap() -> None:
    there, head = search("O1......", 3)
    assert there.first_move(head, 100) == RIGHT
