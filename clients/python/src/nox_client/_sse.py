"""Server-sent events, whose lines end with a line feed, as the server's do.

`httpx-sse` reads them for httpx alone, and by lines that end at U+2028 as well, which stands in texts of jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# Longest event that is taken; the server's have a job's outputs in them, of at most 1 MiB.
EVENT_BYTES_MAX = 8 * 1024 * 1024


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream."""

    id: str
    """The newest id that the stream has said, in this event or before."""
    event: str
    data: str


@dataclass
class Parser:
    """Takes bytes as they come, and gives the events that they complete."""

    last_id: str = ""
    """Of the newest that was complete: where to go on."""
    _id: str | None = None
    _rest: bytes = b""
    _event: str = ""
    _data: list[str] = field(default_factory=list[str])

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that are complete with this. Raises ValueError where one is longer than any that there can be."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > EVENT_BYTES_MAX:
            raise ValueError(f"an event has more than {EVENT_BYTES_MAX} bytes")
        for line in lines:
            event = self._line(line.removesuffix(b"\r").decode("utf-8", "replace"))
            if event:
                yield event

    def _line(self, line: str) -> ServerEvent | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
            case _:
                # A comment, or `retry`.
                pass
        return None

    def _complete(self) -> ServerEvent | None:
        event, data = self._event, self._data
        # Not before: an event whose rest is lost has not come.
        self.last_id = self.last_id if self._id is None else self._id
        self._event, self._data, self._id = "", [], None
        return ServerEvent(self.last_id, event or "message", "\n".join(data)) if data else None
