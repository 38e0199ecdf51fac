"""
What a bus knows, without the waiting: what it has to send, who gets what has come, whether the relay is there.

A backend's bus takes :meth:`BusCore.take` to its relay whenever ``bell`` rings, and hands what comes to
:meth:`BusCore.came`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from shared.relay.bus import (
    MOST_WAITING,
    MOST_WAITING_BYTES,
    PING_S,
    SILENCE_S,
    Bell,
    Down,
    RelayError,
    Up,
    check_channel,
    check_payload,
    is_absent,
    why,
)
from shared.relay.envelope import Numbers, Sealed, seal, unseal
from shared.relay.hub import Acquire, Answer, Came, Ping, Pong, Publish, Regain, Release, Renew, Subscribe, Unsubscribe
from shared.relay.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.relay.hub import FromRelay, Question, ToRelay

MOST_PINGS = round(SILENCE_S / PING_S)
"""Unanswered in a row: then the relay is gone. Counted, as a process that was stopped must not take it for silence."""

B = TypeVar("B", bound=Bell)


class Asked(Generic[B]):
    """A question on its way; ``bell`` rings when it is answered, or never will be."""

    def __init__(self, number: int, bell: B) -> None:
        self.number = number
        self.bell = bell
        self._value: int | str | None = None

    def answer(self, value: int | str) -> None:
        """Take the answer, or why there is none."""
        self._value = value
        self.bell.set()

    def value(self) -> int:
        """Return the answer; RelayError if there is none."""
        if isinstance(self._value, int):
            return self._value
        raise RelayError(self._value or "the relay has not answered")


class BusCore(Generic[B]):
    """
    One bus of one process.

    ``publisher`` are eight bytes that no other bus has; ``new_bell`` makes what waits are woken by. ``is_up`` and
    ``why`` say whether the relay is there, and if not, why; ``absent_at_s`` when it was last seen that nobody listens
    at its place, and ``ping_at_s`` when to :meth:`look` after it. ``lost`` counts what could not be handed over.
    """

    def __init__(self, publisher: bytes, new_bell: Callable[[], B]) -> None:
        self.publisher = publisher
        self.bell = new_bell()
        self.is_up = False
        self.why = "not connected yet"
        self.absent_at_s = float("-inf")
        self.ping_at_s = 0.0
        self.lost = 0
        self._unanswered = 0
        self._new_bell = new_bell
        self._numbers = Numbers()
        self._outgoing: deque[ToRelay] = deque()
        self._outgoing_bytes = 0
        self._mailboxes: dict[str, list[Mailbox[B]]] = {}
        self._unconfirmed: dict[str, int] = {}
        self._returning: set[Mailbox[B]] = set()  # those who are told when the relay sends to them again
        self._asked: dict[int, Asked[B]] = {}
        self._questions = 0

    # What the process wants

    def publish(self, channel: str, payload: bytes) -> bool:
        """Hand a message over; False if it is lost. ValueError if it is none."""
        check_channel(channel)
        check_payload(payload)
        number, before = self._numbers.next(channel)  # of one that is lost, too: so that whoever misses it sees it
        full = self._outgoing_bytes + len(payload) > MOST_WAITING_BYTES or len(self._outgoing) >= MOST_WAITING
        if not self.is_up or (full and self._outgoing):
            self.lost += 1
            return False
        self._send(Publish(channel, seal(Sealed(self.publisher, number, before, payload))))
        return True

    def subscribe(self, channel: str) -> Mailbox[B]:
        """Open a mailbox; it stands when :meth:`stands` says so."""
        check_channel(channel)
        mailbox = Mailbox(channel, self._new_bell())
        mailboxes = self._mailboxes.setdefault(channel, [])
        mailboxes.append(mailbox)
        if not self.is_up:
            mailbox.tell(Down(self.why))
        elif len(mailboxes) == 1:
            self._subscribe(channel)
        return mailbox

    def stands(self, mailbox: Mailbox[B]) -> bool:
        """Whether nothing need be waited for: the relay has confirmed it, or is gone."""
        return not self.is_up or mailbox.channel not in self._unconfirmed

    def unsubscribe(self, mailbox: Mailbox[B]) -> None:
        """Close a mailbox; nothing is put into it any more."""
        mailboxes = self._mailboxes.get(mailbox.channel, [])
        if mailbox not in mailboxes:
            return
        mailboxes.remove(mailbox)
        self._returning.discard(mailbox)
        mailbox.bell.set()
        if not mailboxes:
            del self._mailboxes[mailbox.channel]
            if self.is_up:
                self._send(Unsubscribe(mailbox.channel))

    def acquire(self, name: str, owner: str, ttl_ms: int) -> Asked[B]:
        """Ask for a lease; the answer is its number, or 0."""
        return self._ask(Acquire(self._next_question(), name, owner, ttl_ms))

    def renew(self, name: str, owner: str, number: int, ttl_ms: int) -> Asked[B]:
        """Ask for more time; the answer is 1 or 0."""
        return self._ask(Renew(self._next_question(), name, owner, number, ttl_ms))

    def regain(self, name: str, owner: str, number: int, ttl_ms: int) -> Asked[B]:
        """Ask for a lease back; the answer is 1 or 0."""
        return self._ask(Regain(self._next_question(), name, owner, number, ttl_ms))

    def release(self, name: str, number: int) -> Asked[B]:
        """Give a lease back; the answer is 1 or 0."""
        return self._ask(Release(self._next_question(), name, number))

    def give_up(self, asked: Asked[B]) -> None:
        """Wait no longer for an answer."""
        self._asked.pop(asked.number, None)

    # What the relay's connection tells

    def went_up(self) -> None:
        """Take it that the relay is there, and knows nothing of us."""
        self.is_up, self.why = True, ""
        self._unanswered = 0
        self._returning = set(self._every_mailbox())
        for channel in self._mailboxes:
            self._subscribe(channel)

    def failed(self, error: Exception, began_s: float) -> None:
        """Take it that a connection that was begun at that time has ended, and by what."""
        if is_absent(error):
            self.absent_at_s = began_s
        self.went_down(why(error))

    def went_down(self, why: str) -> None:
        """Take it that the relay is gone, with all that was on its way."""
        was_up, self.is_up, self.why = self.is_up, False, why
        self.lost += sum(isinstance(item, Publish) for item in self._outgoing)
        self._outgoing.clear()
        self._outgoing_bytes = 0
        self._unconfirmed.clear()
        self._returning.clear()
        for asked in list(self._asked.values()):
            asked.answer(f"the relay is gone: {why}")
        self._asked.clear()
        for mailbox in self._every_mailbox() if was_up else ():
            mailbox.tell(Down(why))

    def take(self) -> list[ToRelay]:
        """Remove and return what is to be sent, in order."""
        items = list(self._outgoing)
        self._outgoing.clear()
        self._outgoing_bytes = 0
        return items

    def ping(self) -> None:
        """Have the relay asked whether it is there."""
        self._send(Ping())

    def look(self, now_s: float) -> None:
        """Have the relay asked whether it is there, as often as that is due; RelayError: it does not answer."""
        if now_s >= self.ping_at_s:
            self.ping_at_s = now_s + PING_S
            if self._unanswered >= MOST_PINGS:
                raise RelayError(f"it has not answered for {SILENCE_S:g} s")
            self._unanswered += 1
            self.ping()

    def heard(self) -> None:
        """Take it that something of the relay has come, whatever it is."""
        self._unanswered = 0

    def came(self, item: FromRelay) -> None:
        """Hand out what the relay says."""
        if isinstance(item, Came):
            mailboxes = self._mailboxes.get(item.channel, ())
            message = unseal(item.data) if mailboxes else None
            if message is not None:
                for mailbox in mailboxes:
                    mailbox.put(message)
        elif isinstance(item, Answer):
            if asked := self._asked.pop(item.question, None):
                asked.answer(item.value)
        elif not isinstance(item, Pong):
            self._confirm(item.channel)

    # Private methods

    def _send(self, item: ToRelay) -> None:
        self._outgoing.append(item)
        if isinstance(item, Publish):
            self._outgoing_bytes += len(item.data)
        self.bell.set()

    def _subscribe(self, channel: str) -> None:
        self._unconfirmed[channel] = self._unconfirmed.get(channel, 0) + 1
        self._send(Subscribe(channel))

    def _confirm(self, channel: str) -> None:
        left = self._unconfirmed.pop(channel, 1) - 1
        if left:  # it was given up in between: that was the word on the one before
            self._unconfirmed[channel] = left
            return
        for mailbox in self._mailboxes.get(channel, ()):
            if mailbox in self._returning:
                self._returning.discard(mailbox)
                mailbox.tell(Up())
            mailbox.bell.set()

    def _next_question(self) -> int:
        self._questions += 1
        return self._questions

    def _ask(self, question: Question) -> Asked[B]:
        asked = Asked(question.question, self._new_bell())
        if self.is_up:
            self._asked[asked.number] = asked
            self._send(question)
        else:
            asked.answer(f"the relay is gone: {self.why}")
        return asked

    def _every_mailbox(self) -> list[Mailbox[B]]:
        return [mailbox for mailboxes in self._mailboxes.values() for mailbox in mailboxes]
