"""Server-sent events, taken apart by the letter of their standard."""

from __future__ import annotations

from collections.abc import Iterator


class Events:
    """Fed with bytes as they come; gives the data of every event that they complete.

    The lines are split here, as bytes, and not by the HTTP library: that one also splits at letters such as U+2028,
    which may stand inside the JSON of an answer.

    >>> events = Events()
    >>> list(events.feed(b": well\\n\\ndata: {")), list(events.feed(b"}\\r\\n\\r\\ndata: [DO")), events.rest()
    ([], ['{}'], '[DO')
    """

    def __init__(self) -> None:
        self._pending = b""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[str]:
        lines = (self._pending + piece).splitlines(keepends=True)
        # The last line may go on, and a CR may be one half of a CRLF.
        self._pending = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            if complete := self._line(line.rstrip(b"\r\n")):
                yield complete

    def rest(self) -> str:
        """The data of an event that nothing ended, where a server leaves the last empty line out."""
        self._line(self._pending.rstrip(b"\r"))
        return self._taken()

    def _line(self, line: bytes) -> str:
        if not line:
            return self._taken()
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        return ""

    def _taken(self) -> str:
        data, self._data = "\n".join(self._data), []
        return data
