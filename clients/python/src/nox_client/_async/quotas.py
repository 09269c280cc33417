"""Limits and budgets."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from .. import _requests as requests
from .. import models

if TYPE_CHECKING:
    from .client import AsyncClient


class AsyncQuotas:
    """One's own limits and budget, and for admins those of the tenant's users."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def mine(self) -> models.Quotas:
        """One's limits. What is used of them is `client.usage()`."""
        return models.Quotas.model_validate(
            await self._client._ask("GET", "/quotas/my/quotas", safe=True)
        )

    async def ledger(self) -> AsyncGenerator[models.LedgerLine, None]:
        """What each of one's jobs reserved, used and gave back, in core seconds; the newest first."""
        async for page in self._client._pages(models.Ledger, "/quotas/my/ledger"):
            for line in page.ledger:
                yield line

    async def violations(self) -> AsyncGenerator[models.Violation, None]:
        """What one was refused, the newest first."""
        async for page in self._client._pages(models.Violations, "/quotas/my/violations"):
            for violation in page.violations:
                yield violation

    async def all(self) -> AsyncGenerator[models.QuotaAccount, None]:
        """The accounts that one may see."""
        async for page in self._client._pages(models.QuotaAccounts, "/quotas"):
            for account in page.accounts:
                yield account

    async def get(self, user: str, as_of: int | datetime | None = None) -> models.QuotaAccount:
        """A user's account, as it is or was. Raises NotFound."""
        answer = await self._client._ask("GET", _path(user), requests.as_of(as_of), safe=True)
        return models.QuotaAccount.model_validate(answer)

    async def entries(
        self, user: str, **filters: str | datetime
    ) -> AsyncGenerator[models.QuotaEntry, None]:
        """Each movement of a user's budget, with its place in the log; the newest first.

        `filters` are job_id, since, until and sort.
        """
        query = requests.filters(filters)
        async for page in self._client._pages(models.QuotaEntries, f"{_path(user)}/ledger", query):
            for entry in page.entries:
                yield entry

    async def set(self, user: str, limits: models.LimitsToSet, reason: str) -> models.QuotasChanged:
        """All limits of a user, in force at once; for admins. `reason` stands beside them in the log."""
        body = {"limits": limits.model_dump(mode="json"), "reason": reason}
        answer = await self._client._ask("PUT", _path(user), None, body, safe=True)
        return models.QuotasChanged.model_validate(answer)

    async def reset(self, user: str, reason: str) -> models.QuotasChanged:
        """Has a user's limits follow the role again; for admins."""
        answer = await self._client._ask("DELETE", _path(user), {"reason": reason}, safe=True)
        return models.QuotasChanged.model_validate(answer)


def _path(user: str) -> str:
    return f"/quotas/{quote(user, safe='')}"
