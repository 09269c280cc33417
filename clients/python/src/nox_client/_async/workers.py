"""Who runs jobs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from .. import _requests as requests
from .. import models

if TYPE_CHECKING:
    from .client import AsyncClient


class AsyncWorkers:
    """Executors, and the tenant's workers that claim tasks. `reason` is for the audit."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def all(
        self, *, state: str | None = None, as_of: int | datetime | None = None
    ) -> AsyncGenerator[models.Worker, None]:
        """Those that are there, or of a state (`joined`, `drained`, `lost`, …); or that were there."""
        query = {**requests.as_of(as_of), "state": state}
        async for page in self._client._pages(models.Workers, "/workers", query):
            for worker in page.workers:
                yield worker

    async def get(self, id: str, as_of: int | datetime | None = None) -> models.Worker:
        """One of them, as it is or was. Raises NotFound."""
        answer = await self._client._ask("GET", _path(id), requests.as_of(as_of), safe=True)
        return models.Worker.model_validate(answer)

    async def drain(self, id: str, reason: str | None = None) -> models.Drained:
        """Gives it no more work; what it has it ends. For operators."""
        return await self._switched(id, "drain", reason)

    async def undrain(self, id: str, reason: str | None = None) -> models.Drained:
        """Gives it work again. For operators."""
        return await self._switched(id, "undrain", reason)

    async def _switched(self, id: str, verb: str, reason: str | None) -> models.Drained:
        path = f"{_path(id)}/{verb}"
        answer = await self._client._ask("POST", path, reason=reason, safe=True)
        return models.Drained.model_validate(answer)


def _path(id: str) -> str:
    return f"/workers/{quote(id, safe='')}"
