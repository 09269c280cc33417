"""What came of one job of many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from . import models
from .problems import ApiError, NoxError
from .result import Result, result_of

Progress = bool | Callable[[int, int | None], None]
"""True for a bar of `tqdm`; or a function of how many have ended, and of how many, where that is known."""


@dataclass(frozen=True)
class Outcome:
    """What came of the job for one of the inputs."""

    index: int
    """The place of the inputs, from 0."""
    job: models.Job | None
    """The job as it ended; None where it was refused."""
    refusal: ApiError | None = None
    """Why it was refused."""

    @property
    def result(self) -> Result:
        """What came of it. Raises JobFailed, JobCanceled, or why it was refused."""
        if self.job is None:
            assert self.refusal is not None
            raise self.refusal
        return result_of(self.job)

    @property
    def error(self) -> NoxError | None:
        """What `result` would raise."""
        try:
            _ = self.result
        except NoxError as error:
            return error
        return None

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.job is not None and self.job.state == "succeeded"

    def __getitem__(self, name: str) -> Any:
        """A scalar or a series of the result by its name. Raises as `result` does, and KeyError."""
        return self.result[name]


class Reported:
    """Tells somebody how far it is."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._done, self._total = 0, total
        self._tell = progress if callable(progress) else None
        self._bar: Any = _bar(total) if progress is True else None

    def one_more(self) -> None:
        """One more has ended."""
        self._done += 1
        if self._tell is not None:
            self._tell(self._done, self._total)
        if self._bar is not None:
            self._bar.update(1)

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _bar(total: int | None) -> Any:
    try:
        # By its name, as it is there only with the extra `progress`.
        tqdm = import_module("tqdm.auto").tqdm
    except ImportError as error:
        raise ImportError("progress=True needs tqdm: pip install 'nox-client[progress]'") from error
    return tqdm(total=total, unit="job")
