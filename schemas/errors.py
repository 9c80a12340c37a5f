"""The one error a user sees: what went wrong, where, and what to do about it.

Raise `StrettoError` for bad input, a bad config or a missing backend. The command prints its one
line and exits with 2; a traceback appears only under `--debug`.
"""

from __future__ import annotations


class StrettoError(Exception):
    """A problem the user can act on.

    `what` is the fault, `where` the file, record and field, `fix` the next step. `str(error)` is
    one line, whatever the parts hold, so that a log can be searched line by line.
    """

    def __init__(self, what: str, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(self.line())

    def line(self) -> str:
        """The whole message on one line: `where: what; fix`."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.fix:
            text = f"{text}; {self.fix}"
        return " ".join(text.split())

    def __reduce__(self) -> tuple[type[StrettoError], tuple[str, str | None, str | None]]:
        """Pickle by parts: Ray and multiprocessing carry errors between processes."""
        return (type(self), (self.what, self.where, self.fix))


class MachineError(StrettoError):
    """A fault of the machine (a missing mount, a full disk), not of the record at hand.

    The run stops and can be resumed; nothing is quarantined for it.
    """
