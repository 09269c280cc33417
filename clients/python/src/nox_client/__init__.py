"""Nox for Python: run jobs, follow them, and work for others. README.md has it in ten lines."""

from ._async.client import AsyncClient
from ._async.job import AsyncJob
from ._requests import Options, Resources, Retries
from ._sync.client import Client
from ._sync.job import Job
from .outcome import Outcome
from .problems import (
    ApiError,
    BadRequest,
    Conflict,
    ConnectionFailed,
    Corrupt,
    Forbidden,
    IdempotencyConflict,
    Invalid,
    JobCanceled,
    JobFailed,
    JobNotSucceeded,
    NotFound,
    NoxError,
    QuotaExceeded,
    RateLimited,
    ServerDefect,
    Unauthenticated,
    Unavailable,
    WaitTimeout,
)
from .result import Result
from .worker import Task, TaskCancelled, Worker

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncJob",
    "BadRequest",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Corrupt",
    "Forbidden",
    "IdempotencyConflict",
    "Invalid",
    "Job",
    "JobCanceled",
    "JobFailed",
    "JobNotSucceeded",
    "NotFound",
    "NoxError",
    "Options",
    "Outcome",
    "QuotaExceeded",
    "RateLimited",
    "Resources",
    "Result",
    "Retries",
    "ServerDefect",
    "Task",
    "TaskCancelled",
    "Unauthenticated",
    "Unavailable",
    "WaitTimeout",
    "Worker",
]
