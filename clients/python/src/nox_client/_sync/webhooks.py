# Made of `_async` by tools/generate.py: change it there.
"""Events that are sent to HTTP endpoints."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import models

if TYPE_CHECKING:
    from .client import Client

Filter = Mapping[str, Iterable[str]]
"""Lists by the words of `GET /events`: `{"type": ["job.failed"], "module!": ["noop"]}`."""


class Webhooks:
    """One's webhooks. `reason` is for the audit."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def all(self) -> Generator[models.Webhook, None, None]:
        """All that one may see."""
        for page in self._client._pages(models.Webhooks, "/webhooks"):
            for webhook in page.webhooks:
                yield webhook

    def get(self, id: object) -> models.Webhook:
        """One of them, and how its endpoint is. Raises NotFound."""
        return models.Webhook.model_validate(self._client._ask("GET", _path(id), safe=True))

    def create(
        self,
        url: str,
        *,
        filter: Filter | None = None,
        description: str = "",
        of_tenant: bool = False,
        enabled: bool = True,
        reason: str | None = None,
    ) -> models.WebhookSecret:
        """Sends events to an address, all that one may see where no filter chooses; its `secret` is told this once.

        `of_tenant` is for admins. Where no answer comes (ConnectionFailed), it may be there.
        """
        body = _body(url, filter, description, of_tenant, enabled)
        answer = self._client._ask("POST", "/webhooks", None, body, reason, safe=False)
        return models.WebhookSecret.model_validate(answer)

    def replace(
        self,
        id: object,
        url: str,
        *,
        filter: Filter | None = None,
        description: str = "",
        of_tenant: bool = False,
        enabled: bool = True,
        reason: str | None = None,
    ) -> models.WebhookChanged:
        """Has it be as `create` would make it, with the secret that it has; one that was switched off is on again."""
        body = _body(url, filter, description, of_tenant, enabled)
        answer = self._client._ask("PUT", _path(id), None, body, reason, safe=True)
        return models.WebhookChanged.model_validate(answer)

    def delete(self, id: object, reason: str | None = None) -> None:
        """Ends it."""
        self._client._ask("DELETE", _path(id), reason=reason, safe=True)

    def test(self, id: object, reason: str | None = None) -> models.WebhookChanged:
        """Sends an event that says so; `delivery_id` is what the endpoint is sent as `webhook-id`."""
        path = f"{_path(id)}/test"
        answer = self._client._ask("POST", path, reason=reason, safe=False)
        return models.WebhookChanged.model_validate(answer)

    def rotate_secret(
        self, id: object, *, overlap_s: int | None = None, reason: str | None = None
    ) -> models.WebhookSecret:
        """A new secret, beside which the one before signs for `overlap_s` seconds (a day, if left out)."""
        body = None if overlap_s is None else {"overlap_s": overlap_s}
        path = f"{_path(id)}/rotate-secret"
        answer = self._client._ask("POST", path, None, body, reason, safe=False)
        return models.WebhookSecret.model_validate(answer)

    def deliveries(self, id: object) -> Generator[models.WebhookDelivery, None, None]:
        """What was sent, or is to be, and what became of it; the newest first."""
        for page in self._client._pages(models.WebhookDeliveries, f"{_path(id)}/deliveries"):
            for delivery in page.deliveries:
                yield delivery

    def redeliver(
        self, id: object, delivery_id: object, reason: str | None = None
    ) -> models.WebhookChanged:
        """Sends one of these once more, under the same id."""
        path = f"{_path(id)}/deliveries/{quote(str(delivery_id), safe='')}/redeliver"
        answer = self._client._ask("POST", path, reason=reason, safe=False)
        return models.WebhookChanged.model_validate(answer)


def _path(id: object) -> str:
    return f"/webhooks/{quote(str(id), safe='')}"


def _body(
    url: str, filter: Filter | None, description: str, of_tenant: bool, enabled: bool
) -> dict[str, Any]:
    body = {"url": url, "description": description, "of_tenant": of_tenant, "enabled": enabled}
    if filter is None:
        return body
    return {**body, "filter": {name: list(words) for name, words in filter.items()}}
