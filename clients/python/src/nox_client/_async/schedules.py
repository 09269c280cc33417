"""Jobs that are submitted again and again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import _requests as requests
from .. import models
from .._requests import Options
from .job import AsyncJob

if TYPE_CHECKING:
    from .client import AsyncClient


class AsyncSchedules:
    """One's schedules. `reason` is for the audit."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def all(self) -> AsyncGenerator[models.Schedule, None]:
        """All that one may see."""
        async for page in self._client._pages(models.Schedules, "/schedules"):
            for schedule in page.schedules:
                yield schedule

    async def get(self, id: object, *, next: int | None = None) -> models.Schedule:
        """One of them, with so many of the instants at which it is due. Raises NotFound."""
        answer = await self._client._ask("GET", _path(id), {"next": next}, safe=True)
        return models.Schedule.model_validate(answer)

    async def create(
        self,
        name: str,
        cron: str,
        module: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        options: Options | None = None,
        time_zone: str = "UTC",
        overlap: str = "skip",
        catch_up_s: int = 3600,
        reason: str | None = None,
    ) -> models.ScheduleChanged:
        """Has a job of a module submitted whenever `cron` says, in the time zone; its `id` is what the others here take.

        While its last job has not ended, the next one is skipped (`overlap` "skip"), runs beside it ("allow") or waits
        ("queue"). What was missed is made up for where it is no older than `catch_up_s`. Uploads in its inputs have an
        end. Where no answer comes (ConnectionFailed), it may be there.
        """
        body = await self._body(name, cron, module, inputs, options, time_zone, overlap, catch_up_s)
        answer = await self._client._ask("POST", "/schedules", None, body, reason, safe=False)
        return models.ScheduleChanged.model_validate(answer)

    async def replace(
        self,
        id: object,
        name: str,
        cron: str,
        module: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        options: Options | None = None,
        time_zone: str = "UTC",
        overlap: str = "skip",
        catch_up_s: int = 3600,
        reason: str | None = None,
    ) -> models.ScheduleChanged:
        """Has it be as `create` would make it."""
        body = await self._body(name, cron, module, inputs, options, time_zone, overlap, catch_up_s)
        answer = await self._client._ask("PUT", _path(id), None, body, reason, safe=True)
        return models.ScheduleChanged.model_validate(answer)

    async def pause(self, id: object, reason: str | None = None) -> models.ScheduleChanged:
        """Stops it, until `resume`."""
        return await self._switched(id, "pause", reason)

    async def resume(self, id: object, reason: str | None = None) -> models.ScheduleChanged:
        """Lets it go on; what was due meanwhile is not made up for."""
        return await self._switched(id, "resume", reason)

    async def trigger(self, id: object, reason: str | None = None) -> AsyncJob:
        """Submits its job at once, whatever runs. Where no answer comes (ConnectionFailed), it may run."""
        path = f"{_path(id)}/trigger"
        answer = await self._client._ask("POST", path, reason=reason, safe=False)
        done = models.ScheduleTriggered.model_validate(answer)
        self._client._caused(done.n)
        return AsyncJob(self._client, str(done.job_id), n=done.n)

    async def delete(self, id: object, reason: str | None = None) -> None:
        """Ends it; its jobs go on."""
        await self._client._ask("DELETE", _path(id), reason=reason, safe=True)

    async def _switched(self, id: object, verb: str, reason: str | None) -> models.ScheduleChanged:
        path = f"{_path(id)}/{verb}"
        answer = await self._client._ask("POST", path, reason=reason, safe=True)
        return models.ScheduleChanged.model_validate(answer)

    async def _body(
        self,
        name: str,
        cron: str,
        module: str,
        inputs: Mapping[str, Any] | None,
        options: Options | None,
        time_zone: str,
        overlap: str,
        catch_up_s: int,
    ) -> dict[str, Any]:
        plain = requests.inputs_of(inputs, {})
        return {
            "name": name,
            "cron": cron,
            "time_zone": time_zone,
            "overlap": overlap,
            "catch_up_s": catch_up_s,
            "job": await self._client._job_body(module, plain, options),
        }


def _path(id: object) -> str:
    return f"/schedules/{quote(str(id), safe='')}"
