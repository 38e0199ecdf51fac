"""
Look at every message of a run, whichever check received it, and keep the first offender of each kind.

So the checks of what all messages must be (JSON without white space, commands as the table has them) cover whatever the
other checks provoked.
"""

from dataclasses import dataclass, field

from tickbench.conformance.shapes import SHAPES, ReceivedCommands, flaw, has_white_space
from tickbench.conformance.verdict import quote


@dataclass
class FirstOffenders:
    """The first offenders so far, quoted; None where there was none."""

    not_commands: str | None = None
    spaced: str | None = None
    frame_flaw: str | None = None
    """What was wrong with the frame itself, whatever it carried."""
    seen: set[str] = field(default_factory=set)
    """Names of the known commands that came."""
    flaws: dict[str, str] = field(default_factory=dict)
    """Name of a known command to what was wrong with one."""
    unknown: dict[str, str] = field(default_factory=dict)
    """Name of an unknown command to one of them."""

    def note_text(self, text: str, commands: ReceivedCommands | None) -> None:
        """Look at a text message."""
        if commands is None:
            self.not_commands = self.not_commands or quote(text)
            return
        if self.spaced is None and has_white_space(text):
            self.spaced = quote(text)
        for command in commands:
            self._note_command(command)

    def note_frame(self, flaw_of_it: str) -> None:
        """Take note of a frame that a server must not send."""
        self.frame_flaw = self.frame_flaw or flaw_of_it

    def _note_command(self, command: list[object]) -> None:
        name = str(command[0])
        if name not in SHAPES:
            self.unknown.setdefault(name, quote(command))
            return
        self.seen.add(name)
        if name not in self.flaws and (wrong := flaw(command)):
            self.flaws[name] = f"{quote(command)}: {wrong}"
