# Made of `_async` by tools/generate.py: change it there.
"""Sends requests, and sends them again where that is right."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import Any, BinaryIO

import httpx2

from .. import _requests as requests
from .._requests import Request, Retries, Token
from .._sse import Parser, ServerEvent
from ..problems import ApiError, ConnectionFailed, NoxError, Unauthenticated, of_answer


class Transport:
    """One server, as somebody. Safe to share between tasks and threads, as its `httpx2` client is."""

    def __init__(
        self, url: str, token: Token | None, retries: Retries, http: httpx2.Client | None
    ) -> None:
        self.url = url
        self.retries = retries
        self._given = http
        self._http = http or httpx2.Client(follow_redirects=False)
        self._token = token
        self._bearer: str | None = token if isinstance(token, str) else None

    def close(self) -> None:
        """Closes the connections, unless they are the caller's."""
        if self._given is None:
            self._http.close()

    def send(self, request: Request) -> httpx2.Response:
        """The answer. Raises ApiError for what is refused, ConnectionFailed where nobody answers."""
        begun = time.monotonic()
        tries = 0
        while True:
            try:
                return self._once(request)
            except NoxError as error:
                delay = self._again(request, error, tries, begun)
                if delay is None:
                    raise
            tries += 1
            time.sleep(delay)

    def json(self, request: Request) -> Any:
        """The answer's document: integers are exact, other numbers doubles."""
        answer = self.send(request)
        try:
            return answer.json()
        except ValueError as error:
            said = f"{request.method} {request.path}: the answer is no JSON"
            raise NoxError(f"{said}: is {self.url} a Nox server?") from error

    def events(self, path: str, query: dict[str, Any]) -> Generator[ServerEvent, None, None]:
        """Server-sent events, across as many connections as it takes, each event once, until `end` of a job.

        `query["after"]` says where to begin. Raises ApiError where a connection is refused for good, and
        ConnectionFailed where none came for as long as requests are repeated.
        """
        begun, tries = time.monotonic(), 0
        parser = Parser(query.get("after") or "")
        while True:
            heard = False
            try:
                with closing(self._stream(path, query, parser)) as stream:
                    for events in stream:
                        # Whatever comes says that the server is there, be it no event.
                        heard = True
                        for event in events:
                            if event.event != "end":
                                yield event
                            elif json.loads(event.data).get("reason") == "job_ended":
                                return
                delay: float | None = 0.0
            except NoxError as error:
                # Patience begins when it is cut.
                begun, tries = (time.monotonic(), 0) if heard else (begun, tries)
                delay = self._again(Request("GET", path, safe=True), error, tries, begun)
                if delay is None:
                    raise
            tries += 1
            parser = Parser(parser.last_id)
            time.sleep(delay or min(0.05 * tries, 1.0))

    def _stream(
        self, path: str, query: dict[str, Any], parser: Parser
    ) -> Generator[list[ServerEvent], None, None]:
        """What each piece of one connection completes."""
        query = {**query, "after": parser.last_id or None}
        request = Request("GET", path, query, {"Accept": "text/event-stream"})
        with closing(self.bytes(request, requests.STREAM_SILENCE_S_MAX)) as chunks:
            for chunk in chunks:
                yield list(parser.feed(chunk))

    def bytes(self, request: Request, silence_s_max: float) -> Generator[bytes, None, None]:
        """The body as it comes, in one try. Raises as `send` does."""
        try:
            options: dict[str, Any] = self._options(request)
            options["timeout"] = httpx2.Timeout(requests.ANSWER_S_MAX, read=silence_s_max)
            with self._http.stream(
                request.method, self.url + request.path, **options
            ) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self._refused(answer)
                for chunk in answer.iter_bytes():
                    yield chunk
        except httpx2.TransportError as error:
            raise _failed(request, error) from error

    def save(self, request: Request, file: BinaryIO) -> str:
        """Writes the body into a file, across as many connections as it takes; its SHA-256. Raises as `send` does."""
        hasher, written = hashlib.sha256(), 0
        begun, tries = time.monotonic(), 0
        while True:
            heard = False
            rest = {"Range": f"bytes={written}-"} if written else {}
            headers = {"Accept": "*/*", "Accept-Encoding": "identity", **rest}
            try:
                chunks = self.bytes(replace(request, headers=headers), requests.ANSWER_S_MAX)
                with closing(chunks):
                    for chunk in chunks:
                        heard = True
                        written += file.write(chunk)
                        hasher.update(chunk)
                return hasher.hexdigest()
            except NoxError as error:
                begun, tries = (time.monotonic(), 0) if heard else (begun, tries)
                delay = self._again(request, error, tries, begun)
                if delay is None:
                    raise
            tries += 1
            time.sleep(delay)

    def _once(self, request: Request) -> httpx2.Response:
        try:
            options = self._options(request)
            answer = self._http.request(request.method, self.url + request.path, **options)
        except httpx2.TransportError as error:
            raise _failed(request, error) from error
        if answer.is_success or answer.status_code == 304:
            return answer
        raise self._refused(answer)

    def _options(self, request: Request) -> dict[str, Any]:
        headers = {"Accept": "application/json", **request.headers}
        if self._bearer is None and callable(self._token):
            self._bearer = self._token()
        if self._bearer is not None:
            headers["Authorization"] = f"Bearer {self._bearer}"
        content = request.content
        if request.json is not None:
            content = requests.written(request.json)
            headers["Content-Type"] = "application/json"
        query = {name: value for name, value in request.query.items() if value is not None}
        return {
            "params": query,
            # As bytes: a reason may have any letters.
            "headers": {name: value.encode() for name, value in headers.items()},
            "content": content,
            "timeout": request.timeout_s,
        }

    def _refused(self, answer: httpx2.Response) -> ApiError:
        return of_answer(answer.status_code, answer.headers.get("Retry-After"), answer.content)

    def _again(self, request: Request, error: NoxError, tries: int, begun: float) -> float | None:
        """Seconds until it is sent again; None if it is not."""
        delay: float | None
        if isinstance(error, Unauthenticated) and error.code == "token_expired":
            # A token that is new and has ended as well is somebody's mistake.
            ended, self._bearer = self._bearer, self._token() if callable(self._token) else None
            delay = 0.0 if self._bearer is not None and self._bearer != ended else None
            self._bearer = self._bearer or ended
        elif request.safe or requests.never_done(error):
            delay = self.retries.delay(tries, error)
        else:
            delay = None
        over = time.monotonic() - begun + (delay or 0.0) > self.retries.for_s
        return None if over else delay


def _failed(request: Request, error: httpx2.TransportError) -> ConnectionFailed:
    said = str(error) or type(error).__name__
    return ConnectionFailed(f"{request.method} {request.path}: {said}")
