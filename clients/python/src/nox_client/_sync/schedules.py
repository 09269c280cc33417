# Made of `_async` by tools/generate.py: change it there.
"""Jobs that are submitted again and again."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .. import _requests as requests
from .. import models
from .._requests import Options
from .job import Job

if TYPE_CHECKING:
    from .client import Client


class Schedules:
    """One's schedules. `reason` is for the audit."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def all(self) -> Generator[models.Schedule, None, None]:
        """All that one may see."""
        for page in self._client._pages(models.Schedules, "/schedules"):
            for schedule in page.schedules:
                yield schedule

    def get(self, id: object, *, next: int | None = None) -> models.Schedule:
        """One of them, with so many of the instants at which it is due. Raises NotFound."""
        answer = self._client._ask("GET", _path(id), {"next": next}, safe=True)
        return models.Schedule.model_validate(answer)

    def create(
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
        body = self._body(name, cron, module, inputs, options, time_zone, overlap, catch_up_s)
        answer = self._client._ask("POST", "/schedules", None, body, reason, safe=False)
        return models.ScheduleChanged.model_validate(answer)

    def replace(
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
        body = self._body(name, cron, module, inputs, options, time_zone, overlap, catch_up_s)
        answer = self._client._ask("PUT", _path(id), None, body, reason, safe=True)
        return models.ScheduleChanged.model_validate(answer)

    def pause(self, id: object, reason: str | None = None) -> models.ScheduleChanged:
        """Stops it, until `resume`."""
        return self._switched(id, "pause", reason)

    def resume(self, id: object, reason: str | None = None) -> models.ScheduleChanged:
        """Lets it go on; what was due meanwhile is not made up for."""
        return self._switched(id, "resume", reason)

    def trigger(self, id: object, reason: str | None = None) -> Job:
        """Submits its job at once, whatever runs. Where no answer comes (ConnectionFailed), it may run."""
        path = f"{_path(id)}/trigger"
        answer = self._client._ask("POST", path, reason=reason, safe=False)
        done = models.ScheduleTriggered.model_validate(answer)
        self._client._caused(done.n)
        return Job(self._client, str(done.job_id), n=done.n)

    def delete(self, id: object, reason: str | None = None) -> None:
        """Ends it; its jobs go on."""
        self._client._ask("DELETE", _path(id), reason=reason, safe=True)

    def _switched(self, id: object, verb: str, reason: str | None) -> models.ScheduleChanged:
        path = f"{_path(id)}/{verb}"
        answer = self._client._ask("POST", path, reason=reason, safe=True)
        return models.ScheduleChanged.model_validate(answer)

    def _body(
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
            "job": self._client._job_body(module, plain, options),
        }


def _path(id: object) -> str:
    return f"/schedules/{quote(str(id), safe='')}"
