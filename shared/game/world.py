"""
The rules: a room's field, and one step of its game, after snakepit's ``game.py`` with its faults mended.

The field is sparse: only cells that are not empty are kept, so a step costs in proportion to what it changes, never to
the field. A snake moves once a *beat*, which is one step or more; snakes move in different steps of it, so that each
step has work. Stones appear and corpses vanish by beats, too. Random numbers come from the ``rng`` that is handed in,
in an order that depends on commands alone. There is no time in here but steps.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.game.bots import Bot
from shared.game.changes import (
    CellChanged,
    Change,
    PlayerDied,
    PlayerJoined,
    PlayerScored,
    TopScoresListed,
    WorldReset,
)
from shared.game.commands import Command, Join, Leave, Recall, Turn
from shared.game.scores import TopScores
from shared.game.search import open_run
from shared.game.snake import DIRECTIONS, Position, Snake

COLORS = range(1, 7)
BORDER_DISTANCE = 5
"""A snake's tail is born at least this many cells from the border."""
BIRTH_DRAWS = 20
BIRTH_VIEW = 16
"""Cells ahead of a newborn: a place with as many free is taken at once, else the one with the most."""
SAFE_BEATS = 48
"""In which nothing kills a newborn that is no bot: what is in its way only stops it."""
PATIENCE = 3
"""Moves for which a snake stands before what is in its way; if it does not turn away by then, it dies."""
CORPSE_BEATS = 8
"""For which a dead snake stays in the field."""
CELLS_A_STONE = 50
"""Of the field there is at most one stone for so many cells; of more, the oldest goes."""
BIRTH_DIRECTIONS = tuple(DIRECTIONS.values())
PLACE_DRAWS = 20
SPAWN_CHANCE = 0.06
"""Of a digit with each move of a snake, and of a stone with each beat."""
GAME_OVER = " >>> GAME OVER <<< "
MAX_PLAYERS_REACHED = "Maximum players reached"
DIGITS = {str(value): value for value in range(1, 10)}


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What can be set about the game. ``width`` and ``height`` are in cells.

    A snake moves ``moves`` times in ``steps`` steps, evenly spread.
    """

    width: int = 50
    height: int = 25
    max_players: int = 10
    bots: int = 0
    bot_steps: int = 0  # of the search, for all bots together in one step of the game; 0: they wander
    moves: int = 1
    steps: int = 1


@dataclass(slots=True)
class Step:
    """What one step did: ``changes`` for everybody; ``refused`` (player id, why), each for that player alone."""

    changes: list[Change] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    scores_changed: bool = False


class World:
    """
    The state of one room's game.

    Feed it the commands that came since the last step with :meth:`step`; tell everybody the changes that it returns.
    """

    def __init__(self, rules: Rules, rng: random.Random, top_scores: TopScores | None = None) -> None:
        self.rules = rules
        self.top_scores = top_scores or TopScores()
        self.cells: dict[Position, CellChanged] = {}  # what is not here is empty
        self.snakes: dict[int, Snake] = {}  # by player id, in order of joining; born or waiting to be
        self.living = 0
        self._rng = rng
        self._width, self._height = rules.width, rules.height
        self._moves, self._steps = rules.moves, rules.steps
        self._beats = 0  # that have begun
        self._corpses: deque[tuple[int, list[CellChanged]]] = deque()  # the beat in which they go, and their cells
        self._stones: deque[CellChanged] = deque()
        self._beat = 0  # how far the current one is, in units of 1/rules.steps: integers, so that nothing drifts
        self._round_over = False
        self._bots = [Bot(player_id) for player_id in range(1, rules.bots + 1)]
        self._step = Step()

    # Public methods

    def step(self, commands: Iterable[Command] = ()) -> Step:
        """Apply ``commands``, in order, then the rules once; return what changed."""
        self._step = step = Step()
        for command in commands:
            self._apply(command)
        if self._bots:
            self._let_bots_act()
        if not self.snakes:
            return step
        for snake in list(self.snakes.values()):
            if not snake.body:
                self._bear(snake)
            elif self._is_due(snake):
                self._move(snake)
        if self._beat < self._moves and self.living:
            self._begin_beat()
        # A step without players moves no beat on: how many went by before a game began must not matter.
        self._beat = (self._beat + self._moves) % self._steps
        return step

    def players(self) -> Iterator[PlayerJoined]:
        """Yield the snakes in the field, as a newcomer is told of them."""
        for snake in self.snakes.values():
            if snake.body:
                yield PlayerJoined(snake.player_id, snake.name, snake.color, snake.score)

    def look(self, position: Position) -> int:
        """Return the value of the digit there, 0 where nothing is, -1 where a head would die."""
        cell = self.cells.get(position)
        if cell is not None:
            return DIGITS.get(cell.char, -1)
        x, y = position
        return 0 if 0 <= x < self._width and 0 <= y < self._height else -1

    # Commands

    def _apply(self, command: Command) -> None:
        match command:
            case Turn(player_id, key):
                if snake := self.snakes.get(player_id):
                    snake.turn(DIRECTIONS[key])
            case Join(player_id, name):
                if player_id in self.snakes:
                    return
                if len(self.snakes) >= self.rules.max_players:
                    self._step.refused.append((player_id, MAX_PLAYERS_REACHED))
                else:
                    self.snakes[player_id] = Snake(player_id, name)
            case Leave(player_id):
                if snake := self.snakes.get(player_id):
                    self._die(snake)
            case Recall(rows):
                if self.top_scores.recall(rows):
                    self._step.scores_changed = True
                    self._step.changes.append(list_top_scores(self.top_scores.rows))

    def _let_bots_act(self) -> None:
        snakes = (self.snakes.get(bot.player_id) for bot in self._bots)
        due = sum(bool(snake and snake.body and self._is_due(snake)) for snake in snakes)
        share = self.rules.bot_steps // max(1, due)
        for bot in self._bots:
            snake = self.snakes.get(bot.player_id)
            if snake is None:
                if len(self.snakes) < self.rules.max_players:
                    self._apply(bot.join())
            elif snake.body and self._is_due(snake):
                turn = bot.steer(snake, self.look, share)
                if turn is not None:
                    self._apply(turn)

    def _is_due(self, snake: Snake) -> bool:
        """Whether a snake moves in this step."""
        return (self._beat + snake.phase) % self._steps < self._moves

    # The rules

    def _move(self, snake: Snake) -> None:
        # This is the hot path of the rules, so it draws its cells itself: calls to _draw would cost a quarter more.
        dx, dy = way = snake.turns[0] if snake.turns else snake.direction
        cells, changes, body, color = self.cells, self._step.changes, snake.body, snake.color
        neck_x, neck_y = neck = body[0]
        x, y = head = (neck_x + dx, neck_y + dy)
        if not (0 <= x < self._width and 0 <= y < self._height):
            self._stop(snake)
            return
        cell = cells.get(head)
        food = 0
        if cell is not None:
            food = DIGITS.get(cell.char, 0)
            if not food:
                self._stop(snake)
                return
            snake.score += food
            changes.append(PlayerScored(snake.player_id, snake.score))
        if snake.turns:
            del snake.turns[0]
            snake.direction = way
        snake.stuck = 0
        body.appendleft(head)
        cells[head] = drawn_head = CellChanged(x, y, "%", color)
        cells[neck] = drawn_neck = CellChanged(neck_x, neck_y, "@", color)
        changes += (drawn_head, drawn_neck)
        if snake.growth:
            snake.growth -= 1
        else:
            left_x, left_y = left = body.pop()
            del cells[left]
            tail_x, tail_y = tail = body[-1]
            cells[tail] = drawn_tail = CellChanged(tail_x, tail_y, "*", color)
            changes += (CellChanged(left_x, left_y, " ", 0), drawn_tail)
        snake.growth += food  # it grows from the next move on
        if self._rng.random() < SPAWN_CHANCE:
            self._spawn_digit()

    def _stop(self, snake: Snake) -> None:
        """Stop a snake before what is in its way, and drop its waiting turns; kill it if it has stood for too long."""
        snake.stuck += 1
        if snake.stuck > PATIENCE and self._beats >= snake.safe_until:
            self._die(snake)
        snake.turns.clear()

    def _begin_beat(self) -> None:
        """Remove the corpses whose time is over; perhaps put a stone in the field."""
        self._beats += 1
        while self._corpses and self._corpses[0][0] <= self._beats:
            for cell in self._corpses.popleft()[1]:
                self._clear((cell.x, cell.y))
        if self._rng.random() < SPAWN_CHANCE and (stone := self._put_somewhere("#", 0)):
            self._stones.append(stone)
            if len(self._stones) * CELLS_A_STONE > self._width * self._height:
                oldest = self._stones.popleft()
                self._clear((oldest.x, oldest.y))

    def _bear(self, snake: Snake) -> None:
        if self._round_over:
            self.cells.clear()
            self._corpses.clear()
            self._stones.clear()
            self._step.changes.append(WorldReset())
            self._round_over = False
        if not self._find_birthplace(snake):
            return
        snake.color = self._rng.choice(self._rarest_colors())
        if snake.player_id > self.rules.bots:  # bots look where they go, from their first move on
            snake.safe_until = self._beats + SAFE_BEATS
        snake.phase = snake.player_id * 144 % 233 * self._steps // 233  # 144/233: the golden ratio spreads any number
        self.living += 1
        self._step.changes.append(PlayerJoined(snake.player_id, snake.name, snake.color, snake.score))
        for position, char in zip(snake.body, "%@*", strict=True):
            self._draw(position, char, snake.color)
        self._spawn_digit()

    def _find_birthplace(self, snake: Snake) -> bool:
        """
        Lay the snake on three empty cells in a row; return False where 20 draws find none: the next step tries again.

        The first place with BIRTH_VIEW free cells ahead is taken, else that with the most.
        """
        most = -1
        draw, cells = self._rng.random, self.cells
        width, height = self.rules.width - 2 * BORDER_DISTANCE, self.rules.height - 2 * BORDER_DISTANCE
        for _ in range(BIRTH_DRAWS):
            x, y = tail = (BORDER_DISTANCE + int(draw() * width), BORDER_DISTANCE + int(draw() * height))
            dx, dy = direction = BIRTH_DIRECTIONS[int(draw() * 4)]
            middle, head = (x + dx, y + dy), (x + 2 * dx, y + 2 * dy)
            if tail not in cells and middle not in cells and head not in cells:
                ahead = open_run(self.look, head, direction, BIRTH_VIEW)
                if ahead > most:
                    most, snake.direction, place = ahead, direction, (head, middle, tail)
                if ahead == BIRTH_VIEW:
                    break
        if most >= 0:
            snake.body.extend(place)
        return most >= 0

    def _rarest_colors(self) -> list[int]:
        worn = dict.fromkeys(COLORS, 0)
        for snake in self.snakes.values():
            if snake.color:
                worn[snake.color] += 1
        least = min(worn.values())
        return [color for color, count in worn.items() if count == least]

    def _die(self, snake: Snake) -> None:
        del self.snakes[snake.player_id]
        if not snake.body:  # it waited to be born: nobody has heard of it
            return
        self.living -= 1
        changes = self._step.changes
        changes.append(PlayerDied(snake.player_id))
        self._step.scores_changed |= self.top_scores.add(snake.name, snake.score)
        changes.append(list_top_scores(self.top_scores.rows))
        last = len(snake.body) - 1
        chars = ("x" if index == 0 else "+" if index == last else "@" for index in range(last + 1))
        corpse = [self._draw(position, char, 0) for position, char in zip(snake.body, chars, strict=True)]
        self._corpses.append((self._beats + CORPSE_BEATS, corpse))
        if not self.living:
            self._end_round()

    def _end_round(self) -> None:
        self._round_over = True
        color = self._rng.choice(COLORS)
        x, y = (self.rules.width - len(GAME_OVER)) // 2, self.rules.height // 2
        for offset, char in enumerate(GAME_OVER):
            if char == " ":
                self._clear((x + offset, y))
            else:
                self._draw((x + offset, y), char, color)

    # Cells

    def _draw(self, position: Position, char: str, color: int) -> CellChanged:
        self.cells[position] = change = CellChanged(position[0], position[1], char, color)
        self._step.changes.append(change)
        return change

    def _clear(self, position: Position) -> None:
        self.cells.pop(position, None)
        self._step.changes.append(CellChanged(position[0], position[1], " ", 0))

    def _spawn_digit(self) -> None:
        self._put_somewhere(str(self._rng.randint(1, 9)), self._rng.choice(COLORS))

    def _put_somewhere(self, char: str, color: int) -> CellChanged | None:
        """
        Draw on a random empty cell, and return it; do nothing and return None if there is none.

        Where 20 draws find none, most of the field is taken: then it is the next empty cell in reading order.
        """
        width, height = self.rules.width, self.rules.height
        draw, cells = self._rng.random, self.cells
        x = y = 0
        for _ in range(PLACE_DRAWS):
            x, y = int(draw() * width), int(draw() * height)
            if (x, y) not in cells:
                return self._draw((x, y), char, color)
        if len(cells) == width * height:
            return None
        while (x, y) in cells:
            x, y = (x + 1, y) if x + 1 < width else (0, (y + 1) % height)
        return self._draw((x, y), char, color)


def list_top_scores(rows: list[tuple[str, int]]) -> TopScoresListed:
    """Return names and scores, best first, as the command to clients; the color is 1 + rank modulo 6."""
    return TopScoresListed([(name, score, 1 + rank % len(COLORS)) for rank, (name, score) in enumerate(rows)])
