"""A connection that can be cut, between a client and the server."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on, until it is told otherwise."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._lost_answers = 0
        self._lost_part: bytes | None = None
        self._cut_after: int | None = None
        self._open: set[socket.socket] = set()
        self.cuts = 0
        # Pieces of answers that were passed on.
        self.answers = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def lose_answers(self, count: int) -> None:
        """Cuts the next so many connections when their first answer comes, of which the client gets nothing."""
        self._lost_answers = count

    def lose_answer_with(self, part: bytes) -> None:
        """Cuts the next connection in whose answer this stands, of which the client gets nothing."""
        self._lost_part = part

    def cut_after(self, bytes_max: int | None) -> None:
        """Cuts each further connection when so many bytes have been answered."""
        self._cut_after = bytes_max

    def cut_all(self) -> None:
        """Cuts the connections that there are."""
        for client in list(self._open):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            self.cuts += 1

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._open.add(client)
            threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        told, limit = 0, self._cut_after
        with client, server:
            try:
                while data := server.recv(65536):
                    if self._is_lost(data) or (limit is not None and told + len(data) > limit):
                        client.sendall(data[: max(0, (limit or 0) - told)])
                        self.cuts += 1
                        # What the other thread waits for ends as well.
                        client.shutdown(socket.SHUT_RDWR)
                        return
                    client.sendall(data)
                    self.answers += 1
                    told += len(data)
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                return
            finally:
                self._open.discard(client)

    def _is_lost(self, data: bytes) -> bool:
        with self._lock:
            if self._lost_part is not None and self._lost_part in data:
                self._lost_part = None
                return True
            if self._lost_answers == 0:
                return False
            self._lost_answers -= 1
            return True
