# Made of `_async` by tools/generate.py: change it there.
"""Keys for machines."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import models

if TYPE_CHECKING:
    from .client import Client


class Keys:
    """One's API keys, for admins the tenant's. `reason` is for the audit."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def all(self) -> Generator[models.KeyView, None, None]:
        """All that one may see, without their secrets."""
        for page in self._client._pages(models.ApiKeys, "/keys"):
            for key in page.keys:
                yield key

    def create(
        self,
        name: str,
        *,
        role: str | None = None,
        scopes: Iterable[str] = (),
        expires_at: datetime | None = None,
        service: str | None = None,
        reason: str | None = None,
    ) -> models.KeyCreated:
        """A key that can do no more than its maker; its `secret`, a token for clients, is told this once.

        It acts as its maker, or for admins as `service:<service>`. Where no answer comes (ConnectionFailed), it may be there.
        """
        if expires_at is not None and expires_at.tzinfo is None:
            raise ValueError("expires_at has no time zone")
        body: dict[str, Any] = {"name": name, "role": role, "service": service}
        body["scopes"] = list(scopes) or None
        body["expires_at"] = expires_at.isoformat() if expires_at else None
        body = {member: value for member, value in body.items() if value is not None}
        answer = self._client._ask("POST", "/keys", None, body, reason, safe=False)
        return models.KeyCreated.model_validate(answer)

    def revoke(self, id: object, reason: str | None = None) -> None:
        """Within five seconds nobody is let in by it."""
        path = f"/keys/{quote(str(id), safe='')}"
        self._client._ask("DELETE", path, reason=reason, safe=True)
