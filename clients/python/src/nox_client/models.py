"""What the API takes and answers, made of docs/openapi.json by tools/generate.py: change it there."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, RootModel


class ArtifactOfJob(BaseModel):
    """
    A kept file, as the fact that completes its job names it.
    """

    mime: str
    """
    The media type that its name says.
    """
    name: str
    """
    In the form of [`name`]; no other file of the job has it.
    """
    path: str
    sha256: str
    """
    In lower-case hexadecimal digits.
    """
    size: int
    """
    In bytes.
    """


class AuditObject(BaseModel):
    """
    What an act is about.
    """

    id: str
    kind: str
    """
    `job`, `quota`, `worker`, `module`, `topic`, `key`, `schedule` or `system`.
    """


class BlockingJob(BaseModel):
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """


class BlockingLimit(BaseModel):
    most: int
    name: str
    """
    `running_jobs` of an account, `running_max` of a module, or `concurrency` of a key.
    """
    of: str
    """
    The account, module or key.
    """
    used: int | None
    """
    Where it is counted.
    """


class CancelReceipt(BaseModel):
    """
    What became of a cancel.
    """

    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    n: int | None = None
    """
    A reader that names this number sees the end.
    """
    pending: bool | None = None
    """
    Nobody has decided yet.
    """
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str
    """
    In the words of the job's kind.
    """


class Capacity(BaseModel):
    """
    What a worker offers, or what of it is in use.
    """

    cpu: int
    gpu: int | None = None
    mem_mb: int
    """
    Memory in MiB.
    """
    slots: int
    """
    Attempts at a time.
    """


class Chunk(BaseModel):
    at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    attempt: int
    """
    The number of a try at a job, from 1.
    """
    base64: str | None = None
    """
    All bytes, where `text` has something in place of what is no UTF-8.
    """
    end: bool
    """
    Whether its stream ends with it.
    """
    length: int
    missing: int
    """
    Bytes before it that are not there.
    """
    offset: int
    """
    Where it stands in its stream.
    """
    seq: int
    stream: str
    text: str


class ClaimBody(BaseModel):
    worker_id: str | None = None


class Concurrency(BaseModel):
    """
    While a job runs, no more than its `limit` of jobs with its `key` run in its tenant, itself included:
    of several limits, the least of those that run and of the one that is to start counts.
    """

    key: str
    """
    At most [`CONCURRENCY_KEY_BYTES_MAX`].
    """
    limit: int
    """
    1 to [`CONCURRENCY_LIMIT_MAX`].
    """


class ConcurrencyBody(BaseModel):
    """
    While a job runs, no more than its `limit` of jobs with its `key` run in its tenant.
    """

    key: str
    limit: int | None = None
    """
    1, if left out.
    """


class CreateKey(BaseModel):
    expires_at: AwareDatetime | None = None
    """
    Never if absent.
    """
    name: str
    """
    For people; 1 to 128 bytes.
    """
    role: str | None = None
    """
    `user` or `admin`, not more than the maker's, which it is if absent.
    """
    scopes: list[str] | None = []
    """
    Of `compute:read` and `compute:write`; the maker's if absent.
    """
    service: str | None = None
    """
    It acts as the user `service:<name>` instead of as its maker; for admins.
    """


class Drafted(BaseModel):
    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    release_id: str
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str


class Drained(BaseModel):
    """
    What became of a drain.
    """

    drained: bool | None = None
    n: int | None = None
    pending: bool | None = None
    """
    Nobody has decided yet.
    """
    worker_id: str
    """
    A worker's name, stable over its restarts. It stands in subjects.
    """


class EventFilter(BaseModel):
    """
    All of these; words of one list mean any of them, those of `label` all. A name with `!` rules out.
    """

    label: list[str] | None = None
    """
    Of the job: `name=value`, or `name` for whatever value.
    """
    label_: Annotated[list[str] | None, Field(alias='label!')] = None
    module: list[str] | None = None
    module_: Annotated[list[str] | None, Field(alias='module!')] = None
    status: list[str] | None = None
    """
    The state that an event brings its job into, or says that it is in.
    """
    status_: Annotated[list[str] | None, Field(alias='status!')] = None
    type: list[str] | None = None
    """
    `job`, `job.succeeded` or `nox.job.succeeded.v1`.
    """
    type_: Annotated[list[str] | None, Field(alias='type!')] = None
    user_id: list[str] | None = None
    user_id_: Annotated[list[str] | None, Field(alias='user_id!')] = None


class FacetValue(BaseModel):
    count: int
    is_exact: bool
    """
    Whether these are all.
    """
    value: str | None
    """
    As the word that chooses by it has it; `null` of jobs that have no such thing.
    """


class FieldError(BaseModel):
    """
    One thing that is wrong with a request's body or query.
    """

    column: int | None = None
    detail: str
    line: int | None = None
    pointer: str
    """
    A JSON pointer into the body, or the name of a query parameter after `?`.
    """


class Filter(RootModel[EventFilter]):
    root: EventFilter
    """
    A misspelt word would silently send everything, so unknown ones are refused.
    """


class Heard(BaseModel):
    """
    A worker that was heard of.
    """

    id: UUID
    last_heartbeat: AwareDatetime
    """
    For people: what counts is the scheduler's clock.
    """


class InfoFeatures(BaseModel):
    """
    What may be there or not. Modules can be registered, and who did what be asked, on every system.
    """

    archive: bool
    """
    The log is told of for good, and not as far as its stream goes.
    """
    commands: bool
    """
    Somebody may run raw commands.
    """
    rate_limits: bool
    """
    Requests of one user are limited.
    """
    webhooks: bool
    """
    Events are sent to endpoints.
    """


class InfoLimits(BaseModel):
    inputs_bytes_max: int
    upload_bytes_max: int
    upload_quota_bytes: int


class JobError(BaseModel):
    """
    What went wrong in an attempt or made a job fail.
    """

    code: str
    """
    Stable and machine-readable: `exit_status`, `wall_time`, `spawn`, `output_missing`,
    `output_invalid`, `killed`, `crashed`, `dependency`, `rejected:<problem code>`, …
    """
    exit_status: int | None = None
    message: str
    """
    For people.
    """


class JobsHealth(BaseModel):
    n: int
    """
    The newest frame that rows were seen of.
    """
    status: str
    view_lag_frames: int
    """
    Frames that the rows are behind the log.
    """
    view_lag_s: float
    """
    For how many seconds the first of them has been decided; 0 where there is none.
    """


class KeyCreated(BaseModel):
    created_at: AwareDatetime | None
    """
    Null while nobody has decided.
    """
    created_by: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """
    expires_at: AwareDatetime | None
    id: UUID
    """
    An API key; not its secret.
    """
    name: str
    pending: bool | None = None
    """
    Nobody has decided yet.
    """
    role: str
    scopes: list[str]
    """
    Everything that the role may, if there are none.
    """
    secret: str
    """
    What a client sends as its bearer token. It is told this once.
    """
    user_id: str
    """
    Whom it acts as.
    """


class KeyView(BaseModel):
    created_at: AwareDatetime | None
    """
    Null while nobody has decided.
    """
    created_by: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """
    expires_at: AwareDatetime | None
    id: UUID
    """
    An API key; not its secret.
    """
    name: str
    role: str
    scopes: list[str]
    """
    Everything that the role may, if there are none.
    """
    user_id: str
    """
    Whom it acts as.
    """


class LargestWorker(BaseModel):
    cpu: int
    gpu: int
    mem_mb: int


class LedgerLine(BaseModel):
    """
    What one job reserved and used, in core seconds of its period.
    """

    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    n: int
    """
    A message's place in the log of facts: gapless, from 1.
    """
    overrun: int
    """
    Used beyond the reservation.
    """
    period: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    released: int
    reservation: int
    """
    `reserved`, `used` and `released` together.
    """
    reserved: int
    used: int


class Limits(BaseModel):
    """
    What a tenant or a user may have. All integers; a missing limit would be a hole, so none is
    optional.
    """

    cpu: int
    """
    Cores in the largest request of one job.
    """
    cpu_seconds: int
    """
    The budget of a UTC day, in core seconds.
    """
    drafts: int
    """
    Jobs that are kept as drafts.
    """
    mem_mb: int
    """
    MiB in the largest request of one job.
    """
    queued_jobs: int
    """
    Jobs that are admitted and not ended.
    """
    running_jobs: int
    """
    Attempts at a time.
    """
    starts_per_minute: int
    """
    Attempts that are handed out in a minute, spread evenly; [`UNLIMITED`] where nothing holds them up.
    """


class LimitsChange(BaseModel):
    """
    An admin's word on the limits of an account.
    """

    by: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """
    reason: str
    """
    In the admin's words, at most [`LIMITS_REASON_BYTES_MAX`].
    """
    reset: bool | None = None
    """
    They are those of the account's role again, and follow it from now on.
    """


class LimitsToSet(BaseModel):
    """
    As [`Limits`], of which the log passes over members that it does not know.
    """

    cpu: int
    """
    Cores in the largest request of one job.
    """
    cpu_seconds: int
    """
    The budget of a UTC day, in core seconds.
    """
    drafts: int
    mem_mb: int
    """
    MiB in the largest request of one job.
    """
    queued_jobs: int
    running_jobs: int
    starts_per_minute: int
    """
    Attempts that begin in a minute; 4294967295 is as many as there are.
    """


class Logs(BaseModel):
    """
    A page of what a job printed.
    """

    chunks: list[Chunk]
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    next: int | None
    """
    `?after=` of the next page; an empty page is the end, so far.
    """


class ManifestResources(BaseModel):
    """
    What a job gets that asks for nothing.
    """

    cpu: int
    gpu: int | None = 0
    mem_mb: int
    wall_time_s: int


class Me(BaseModel):
    expires_at: AwareDatetime | None
    """
    When the token runs out; `null` of a key that does not.
    """
    id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """
    is_admin: bool
    is_operator: bool
    """
    An admin of the tenant `default`, which runs the system.
    """
    key_id: UUID | None
    """
    The API key that was shown.
    """
    may_run_commands: bool
    """
    Whether the asker may submit raw commands.
    """
    operations: list[str]
    """
    The operations of `/openapi.json` that role and scope let the asker ask for, by name. Whether it may see what it
    asks about is judged then.
    """
    role: str
    """
    The role that the asker's limits come from.
    """
    scopes: list[str]
    """
    What the token is good for: `compute:read` and `compute:write`, or one of them.
    """
    tenant: str
    """
    A tenant: the unit of isolation and of sharding. A slug, because it stands in subjects.
    """
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """


class ModuleManifest(BaseModel):
    """
    A manifest: the members of `module.toml` as JSON, with all that would lie beside it in it. Those that are not named
    here are as modules/README.md has them.
    """

    input_schema: dict[str, Any]
    """
    JSON Schema (2020-12).
    """
    name: str
    """
    A module's name, for example `xtb`.
    """
    network: bool | None = False
    """
    Whether it may use the machine's network, where executors let registered modules.
    """
    resources: ManifestResources
    run: dict[str, Any]
    sandbox: str
    title: str | None = ''
    version: str


class ModuleRegistered(BaseModel):
    """
    What became of a registration.
    """

    n: int | None = None
    name: str
    """
    A module's name, for example `xtb`.
    """
    pending: bool | None = None
    """
    Nobody has decided yet.
    """
    version: str


class ModuleRegistration(BaseModel):
    """
    Who registered a version, and when.
    """

    at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    by: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """


class ModuleSchemas(BaseModel):
    inputs: Any
    outputs: Any


class OpenJob(BaseModel):
    """
    A job that has not ended, or had not.
    """

    attempt: int
    """
    The number of a try at a job, from 1.
    """
    created_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    due_at: AwareDatetime | None
    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    module: str
    """
    A module's name, for example `xtb`.
    """
    module_version: str
    priority: int
    started_at: AwareDatetime | None
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """
    waiting_code: str | None
    """
    Why it does not run, while it is queued.
    """
    worker_id: str | None


class OutputRow(BaseModel):
    """
    Something that was printed, or how it ended.
    """

    base64: str | None = None
    """
    All bytes, where `output` has something in place of what is no UTF-8.
    """
    createdAt: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    id: int
    """
    Grows from row to row.
    """
    jobId: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    output: str
    stream: str | None
    """
    `null` of the last row, which nobody printed.
    """
    updatedAt: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """


class Problem(BaseModel):
    """
    A problem as it is answered (RFC 9457).
    """

    account: str | None = None
    code: str
    """
    Why a request was refused. The same word in answers, facts, rows and problem documents.
    """
    current_usage: int | None = None
    detail: str
    error: str
    """
    `title` and `detail` once more, as clients of older systems look for them.
    """
    errors: list[FieldError] | None = None
    """
    What is wrong with a body or a query, each by its place.
    """
    limit: int | None = None
    message: str
    percentage: float | None = None
    """
    How much of the limit is used.
    """
    quota_type: str | None = None
    request_id: str | None = None
    """
    Finds the request in the log.
    """
    requested: int | None = None
    retry_after: int | None = None
    """
    Seconds after which to try again.
    """
    status: int
    title: str
    type: str
    """
    A page that says what to do.
    """


class Progress(BaseModel):
    """
    How far an attempt is, by its worker's word.
    """

    message: str | None = None
    """
    For people; at most [`PROGRESS_MESSAGE_BYTES_MAX`].
    """
    percent: int | None = None
    """
    0 to 100.
    """


class ProgressBody(BaseModel):
    message: str | None = None
    percent: float | None = None


class Quantiles(BaseModel):
    count: int
    max: float | None
    p50: float | None
    p95: float | None


class Queue(BaseModel):
    at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    jobs: list[OpenJob]
    n: int
    """
    The last frame that was taken in, and its instant: `?as_of=<n>` asks for the next page of the same.
    """
    next: str | None
    """
    The cursor of the next page; null on the last.
    """
    states: dict[str, int]
    """
    How many jobs the asker sees, by their state. None of them had ended.
    """
    waiting: dict[str, int]
    """
    How many of them waited, by what for.
    """


class Quota(BaseModel):
    limit: int
    period: str | None
    """
    `day`, of a budget.
    """
    quota_type: str


class QuotaEntry(BaseModel):
    """
    One movement, in core seconds of its period.
    """

    at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    cpu_seconds: int
    """
    Of `granted`, all that the period has from now on; of the others, what moves: from free to reserved, from
    reserved to used, from reserved to free.
    """
    fact: str
    """
    The fact: `granted`, `reserved`, `settled` or `released`.
    """
    id: str
    """
    The place of its fact in the log.
    """
    job_id: UUID | None = None
    overrun: int | None = None
    """
    What a job used beyond its reservation, which no budget paid.
    """
    period: AwareDatetime
    """
    The first instant of the period.
    """


class QuotaUsage(BaseModel):
    """
    What is used of a limit.
    """

    current_usage: int
    """
    Of core seconds, `reserved` and `used` together.
    """
    free: int | None = None
    limit: int
    overrun: int | None = None
    """
    What was used beyond reservations, which no budget paid.
    """
    percentage: float | None
    quota_type: str
    """
    `cpu_seconds` of the period, `queued_jobs` or `running_jobs`.
    """
    reserved: int | None = None
    used: int | None = None


class Quotas(BaseModel):
    quotas: list[Quota]
    tenant: str
    """
    A tenant: the unit of isolation and of sharding. A slug, because it stands in subjects.
    """
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """


class QuotasChanged(BaseModel):
    """
    What became of a change.
    """

    account: str
    n: int | None = None
    pending: bool | None = None
    """
    Nobody has decided yet.
    """


class Raise(BaseModel):
    """
    After a failure of one kind, the next attempt is given `factor` times as much of a resource.
    """

    after: str
    """
    The code of the failure: `oom`, `wall_time`, …
    """
    factor: int
    """
    At least 2.
    """
    max: int
    """
    Never more than this, nor than the owner's largest request, budget, and largest worker allow. In the
    resource's unit.
    """
    resource: str


class Receipt(BaseModel):
    """
    The answer to a job that was taken in.
    """

    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    message: str | None = None
    """
    What clients of engines look for.
    """
    n: int | None = None
    pending: bool | None = None
    progress: int | None = None
    """
    How far it is, from 0 to 1.
    """
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str
    """
    What the job begins as, also while nobody has decided; in the words of its kind.
    """


class RegisterBody(BaseModel):
    category: str
    name: str
    schema_: Annotated[Any | None, Field(alias='schema')] = {}
    worker_id: str | None = None


class RegisteredJob(BaseModel):
    """
    A registered job.
    """

    category: str
    full_name: str
    id: UUID
    name: str
    room_id: str
    schema_: Annotated[Any, Field(alias='schema')] = None
    """
    Not in lists: it may be large.
    """
    worker_id: UUID | None = None
    """
    The worker that registered it by this request.
    """
    workers: list[UUID]
    """
    The workers that claim tasks of it now.
    """


class RegisteredJobPage(BaseModel):
    items: list[RegisteredJob]
    limit: int
    offset: int
    total: int
    """
    Of a great many, as far as they were counted.
    """


class RelatedJob(BaseModel):
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """


class RelatedJobs(BaseModel):
    """
    What a job has to do with. At most 100 jobs of each kind.
    """

    batch: list[RelatedJob]
    """
    Others of its batch that was submitted all or none.
    """
    follows: list[RelatedJob]
    """
    Those in its `after`.
    """
    hidden: int
    """
    How many of the jobs that are named the asker may not see, or are gone, or are too many.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    log_known: bool
    """
    Whether the log still has what it says of `follows`, `schedule_id` and `batch`: else they are empty.
    """
    retries: list[RelatedJob]
    """
    Those that repeat it, the first first; and whether these are all.
    """
    retries_complete: bool
    retry_of: RelatedJob | None
    """
    The job that it repeats.
    """
    schedule_id: UUID | None
    """
    The schedule that submitted it.
    """


class ReleaseAnalysis(BaseModel):
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    mediainfo: Any
    metadata: Any
    structure: Any


class ReleaseCancelReceipt(BaseModel):
    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    message: str
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str


class ReleaseJob(BaseModel):
    """
    A job. `status` is in this surface's words, `state` in the canonical ones.
    """

    config_json: Any
    created_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    created_by: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """
    ended_at: AwareDatetime | None
    error: str | None
    """
    Why it failed.
    """
    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_type: str
    """
    A module's name, for example `xtb`.
    """
    logs: str | None = None
    """
    What it printed, as `GET …/logs` tells it; of one job alone.
    """
    progress: int
    """
    How far it is, in per cent.
    """
    release_id: str | None
    result: Any
    """
    What came of it.
    """
    started_at: AwareDatetime | None
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str


class ReleaseJobBody(BaseModel):
    config_json: Any = None
    """
    Its inputs.
    """
    job_type: str
    """
    The module that does it.
    """
    release_id: str | None = None


class ReleaseJobLogs(BaseModel):
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    logs: str
    next: int
    """
    What to ask for next, as `since`.
    """


class ReleaseJobStatus(BaseModel):
    created_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    progress: int
    """
    In per cent.
    """
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str


class ReleaseJobs(BaseModel):
    jobs: list[ReleaseJob]
    page: int
    pages: int
    per_page: int
    total: int
    """
    Counted up to 10,000.
    """


class ReleaseReceipt(BaseModel):
    """
    The answer to a job that was taken in.
    """

    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    release_id: str | None
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str


class Resources(BaseModel):
    """
    What one job asks for, and is given while it runs.
    """

    cpu: int
    """
    Cores.
    """
    gpu: int | None = None
    """
    Devices.
    """
    mem_mb: int
    """
    Memory in MiB.
    """
    wall_time_s: int
    """
    Longest run of one attempt, in seconds; the executor ends it then.
    """


class ResourcesBody(BaseModel):
    """
    What is left out is the module's.
    """

    cpu: int | None = None
    gpu: int | None = None
    mem_mb: int | None = None
    wall_time_s: int | None = None


class Retried(BaseModel):
    """
    What became of one job.
    """

    job_id: UUID | None = None
    """
    The new one.
    """
    n: int | None = None
    pending: bool | None = None
    problem: Problem | None = None
    """
    Why there is none.
    """
    retry_of: UUID
    """
    The job that was to be repeated.
    """


class RetriedJobs(BaseModel):
    """
    What was done, or would be.
    """

    complete: bool
    """
    Whether these are all. A preview counts up to 10,000.
    """
    count: int
    """
    How many jobs were acted on, or would be.
    """
    jobs: list[Retried]
    next: str | None
    """
    Where to go on, as `cursor`.
    """
    preview: bool
    """
    Nothing was done.
    """


class RetryBody(BaseModel):
    """
    What is another one of the new job; the rest is as the old one was.
    """

    inputs: Any | None = None
    """
    In place of all inputs.
    """
    labels: dict[str, str] | None = None
    """
    In place of all labels.
    """
    requested_resources: ResourcesBody | None = None
    """
    Those that are named.
    """


class RetryPolicy(BaseModel):
    """
    When a failed attempt is followed by another, and what that is given.
    """

    attempts_max: int
    """
    Attempts that may fail by themselves before the job does; lost ones are not counted.
    """
    backoff_ms: int
    """
    Wait before the second attempt, in milliseconds; doubled for each further one.
    """
    backoff_ms_max: int
    """
    Longest wait, in milliseconds.
    """
    on: list[str] | None = None
    """
    Codes of the failures that another attempt follows; where none is named, those of which the
    worker says that another attempt may go better.
    """
    raise_: Annotated[list[Raise] | None, Field(alias='raise')] = None
    """
    What the next attempt is given more of: without it a failure of this kind would come again.
    """


class RotateWebhook(BaseModel):
    overlap_s: int | None = None
    """
    For so many seconds the secret of before signs as well, at most a week; a day, if absent.
    """


class RunningJob(BaseModel):
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    module: str
    """
    A module's name, for example `xtb`.
    """
    started_at: AwareDatetime | None
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """


class ScheduleChanged(BaseModel):
    """
    What became of a change.
    """

    id: UUID
    """
    A schedule.
    """
    n: int | None = None
    next_due_at: AwareDatetime | None
    """
    When it is due next; null while it is paused, of one that is never due again or no more, and while nobody
    has decided.
    """
    pending: bool | None = None
    """
    Nobody has decided yet.
    """


class ScheduleOccurrence(BaseModel):
    at: AwareDatetime
    """
    When it was decided.
    """
    code: str | None
    """
    Why it was refused.
    """
    detail: str | None
    due_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    outcome: str
    """
    `submitted`, `refused`, `skipped`, `queued` or `missed`.
    """


class ScheduleTriggered(BaseModel):
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    n: int | None = None
    pending: bool | None = None
    """
    Nobody has decided yet.
    """
    schedule_id: UUID
    """
    A schedule.
    """


class ServedModule(BaseModel):
    name: str
    """
    A module's name, for example `xtb`.
    """
    version: str


class SetQuotas(BaseModel):
    """
    Limits, all of them, and why.
    """

    limits: LimitsToSet
    reason: str
    """
    At most 1,024 bytes; kept in the log.
    """


class SetSchedule(BaseModel):
    catch_up_s: int | None = 3600
    """
    How late an occurrence may still be submitted after a downtime, in seconds, at most a week; of several
    the last one is.
    """
    cron: str
    """
    Five fields (names, ranges, lists, steps), or a word such as `@daily`.
    """
    job: dict[str, Any]
    """
    As the body of `POST /jobs`, without `run_at` and `after`, and no draft.
    """
    name: str
    """
    For people; 1 to 128 bytes.
    """
    overlap: str | None = 'skip'
    """
    What becomes of an occurrence while a job of the schedule has not ended.
    """
    time_zone: str | None = 'UTC'
    """
    As IANA names it; `UTC` if absent.
    """


class SetWebhook(BaseModel):
    description: str | None = ''
    """
    For people; at most 256 bytes.
    """
    enabled: bool | None = True
    """
    Whether anything is sent.
    """
    filter: Filter | None = None
    """
    Which events, by the words of `GET /events`; all that its owner may see there, if absent.
    """
    of_tenant: bool | None = False
    """
    Those of all of the tenant, as an admin sees them; for admins.
    """
    url: str
    """
    Where events are sent: `https://`, without a user, a password and a fragment; at most 2,048 bytes.
    """


class StatsPart(BaseModel):
    canceled: int
    failed: int
    from_: Annotated[AwareDatetime, Field(alias='from')]
    """
    Its first instant.
    """
    submitted: int
    succeeded: int


class Stood(BaseModel):
    """
    Where a job stood for a while.
    """

    attempt: int
    """
    The number of a try at a job, from 1.
    """
    code: str | None
    from_: Annotated[AwareDatetime, Field(alias='from')]
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    n: int
    """
    The frame that says so.
    """
    seconds: float | None
    """
    Up to now, or to the instant that was asked for, of one that lasts; none of what a job ended as.
    """
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    to: AwareDatetime | None
    """
    `null` of the last.
    """


class Switched(BaseModel):
    """
    What became of a switch.
    """

    enabled: bool | None = None
    n: int | None = None
    name: str
    """
    A module's name, for example `xtb`.
    """
    pending: bool | None = None
    """
    Nobody has decided yet.
    """


class SystemProjection(BaseModel):
    """
    How far the rows are.
    """

    lag_frames: int
    """
    As `/health` says it.
    """
    lag_s: float
    n: int | None


class SystemReader(BaseModel):
    lag_frames: int | None
    """
    Frames that it was behind the log when it said so last, which is up to five seconds ago.
    """
    n: int | None
    """
    `null` where it reads another life of the log.
    """
    name: str


class SystemSegment(BaseModel):
    bytes: int
    n_first: int
    """
    A message's place in the log of facts: gapless, from 1.
    """
    n_last: int
    """
    A message's place in the log of facts: gapless, from 1.
    """


class SystemStream(BaseModel):
    bytes: int | None = None
    bytes_max: int | None = None
    """
    `null`: as much as the broker has.
    """
    first_seq: int | None = None
    last_seq: int | None = None
    messages: int | None = None
    name: str


class SystemTrouble(BaseModel):
    detail: str
    part: str


class Task(BaseModel):
    """
    A task. `status` is in this surface's words, `state` in the canonical ones.
    """

    attempt: int
    completed_at: AwareDatetime | None
    created_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    created_by_id: str
    error: str | None
    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_name: str
    payload: Any
    progress: Progress | None
    queue_position: int | None
    """
    How many are claimed before it, while it waits.
    """
    result: Any
    room_id: str
    started_at: AwareDatetime | None
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str
    worker_id: UUID | None


class TaskBody(BaseModel):
    payload: Any | None = {}


class TaskClient(BaseModel):
    id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """
    is_admin: bool
    tenant: str
    """
    A tenant: the unit of isolation and of sharding. A slug, because it stands in subjects.
    """
    worker_id: UUID
    """
    What the caller's own worker is called.
    """


class TaskPage(BaseModel):
    items: list[Task]
    limit: int
    offset: int
    total: int
    """
    Of a great many, as far as they were counted.
    """


class Status(Enum):
    running = 'running'
    completed = 'completed'
    failed = 'failed'
    cancelled = 'cancelled'
    canceled = 'canceled'
    NoneType_None = None


class TaskUpdateBody(BaseModel):
    attempt: int | None = None
    """
    The attempt that is spoken of; the present one if absent.
    """
    error: str | None = None
    """
    For people, of a task that failed.
    """
    progress: ProgressBody | None = None
    result: Any = None
    """
    Of a task that is completed.
    """
    status: Status | None = None


class TaskWorker(BaseModel):
    id: UUID
    job_count: int
    jobs: list[str]
    registered_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    user_id: str


class TaskWorkerPage(BaseModel):
    items: list[TaskWorker]
    limit: int
    offset: int
    total: int
    """
    Of a great many, as far as they were counted.
    """


class Upload(BaseModel):
    """
    An upload, as its owner is told of it.
    """

    id: UUID
    sha256: str
    """
    In lower-case hexadecimal digits.
    """
    size: int
    """
    In bytes.
    """


class Usage(BaseModel):
    period: AwareDatetime
    """
    Its first instant.
    """
    tenant: str
    """
    A tenant: the unit of isolation and of sharding. A slug, because it stands in subjects.
    """
    usage: list[QuotaUsage]
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """


class Violation(BaseModel):
    account: str
    at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    code: str
    current_usage: int | None
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    limit: int | None
    message: str
    module: str
    """
    A module's name, for example `xtb`.
    """
    n: int
    """
    A message's place in the log of facts: gapless, from 1.
    """
    percentage: float | None
    quota_type: str | None
    requested: int | None
    retry_after: int | None


class Violations(BaseModel):
    next: str | None
    """
    The cursor of the next page; null on the last.
    """
    violations: list[Violation]


class Waited(BaseModel):
    code: str
    """
    Why a queued job does not run. A `waiting` fact is written only when the code changes.
    """
    seconds: float


class Waiting(BaseModel):
    """
    Why a queued job does not run.
    """

    code: str
    """
    Why a queued job does not run. A `waiting` fact is written only when the code changes.
    """
    message: str


class WebhookChanged(BaseModel):
    """
    What became of a change.
    """

    delivery_id: UUID | None = None
    """
    What the endpoint is sent as `webhook-id`.
    """
    id: UUID
    """
    A webhook.
    """
    n: int | None = None
    pending: bool | None = None
    """
    Nobody has decided yet.
    """


class WebhookDelivery(BaseModel):
    attempts: int
    created_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    error: str | None
    """
    Why the last attempt was not answered: `unreachable`, `timeout`, `tls` or `protocol`.
    """
    event_id: str
    """
    The event's place in the log.
    """
    id: UUID
    """
    What the endpoint is sent as `webhook-id`.
    """
    last_at: AwareDatetime | None
    next_attempt_at: AwareDatetime | None
    """
    When the next attempt is due; null if there is to be none.
    """
    state: str
    """
    `pending`, `delivered`, `failed`, `dropped` (too many waited) or `canceled` (the webhook was switched off).
    """
    status: int | None
    """
    What the last attempt was answered with.
    """
    type: str


class WebhookEndpoint(BaseModel):
    dropped: int
    """
    Deliveries that were given up because too many waited.
    """
    failing_since: AwareDatetime | None
    failures: int
    """
    Attempts that failed since the last one that was taken.
    """


class WebhookSecret(BaseModel):
    id: UUID
    """
    A webhook.
    """
    n: int | None = None
    pending: bool | None = None
    """
    Nobody has decided yet.
    """
    rotation: int
    """
    How often it was rotated.
    """
    secret: str
    """
    What payloads are signed with, as Standard Webhooks writes it. It is told this once.
    """


class WizardDraftBody(BaseModel):
    """
    What the wizard asked.
    """

    group: str
    release_type: str
    rule_id: int | str | None = None


class Worker(BaseModel):
    capacity: Capacity
    claims: bool
    """
    It claims tasks over HTTP; else it is an executor.
    """
    drained_by: str | None
    """
    Null of the past.
    """
    id: str
    """
    A worker's name, stable over its restarts. It stands in subjects.
    """
    joined_at: AwareDatetime | None
    """
    Null of the past.
    """
    labels: list[str]
    last_seen_at: AwareDatetime | None
    """
    When the log heard of it last, to ten seconds; null of the past.
    """
    left_at: AwareDatetime | None
    modules: list[ServedModule]
    n: int
    """
    The newest frame with an entry of the worker; of the past, the last frame that was taken in.
    """
    running: list[RunningJob]
    """
    What it runs of jobs that the asker sees; at most 1,000 in an answer.
    """
    running_jobs: int | None = None
    """
    How many attempts it has in all; for operators.
    """
    state: str
    """
    `joined`: takes work. `drained`: an operator took it out of service. `draining`: is about to stop.
    `paused`: cannot run anything for now. `left`, `lost`: is not there.
    """
    worker_id: str
    """
    A worker's name, stable over its restarts. It stands in subjects.
    """


class Workers(BaseModel):
    next: str | None
    """
    The cursor of the next page; null on the last.
    """
    workers: list[Worker]


class Act(BaseModel):
    """
    One act.
    """

    at: AwareDatetime
    """
    When it was decided.
    """
    code: str | None = None
    """
    Of what was refused.
    """
    from_: Annotated[str | None, Field(alias='from')] = None
    """
    The address that the request came from.
    """
    id: str
    """
    Its place in the log: of the fact that says so; of what was refused without one, behind the frame's entries.
    """
    key_id: UUID | None = None
    n: int
    """
    A message's place in the log of facts: gapless, from 1.
    """
    object: AuditObject
    outcome: str
    reason: str | None = None
    """
    Why, in the asker's words.
    """
    request_id: str | None = None
    role: str | None = None
    tenant: str
    """
    Of whoever asked, else of what it is about.
    """
    token_id: str | None = None
    """
    The token's `jti`, or the API key's id. Logs from before who asked was recorded have neither, no role and no
    address.
    """
    user_id: str | None = None
    """
    Who asked; nobody of what the system did.
    """
    verb: str
    """
    What was done, as `<kind>.<verb>`.
    """


class Acts(BaseModel):
    """
    Acts, as far as they were looked for.
    """

    acts: list[Act]
    next: str | None
    """
    The cursor of the next page, which may have some even where this one has none; null at the end.
    """


class ApiKeys(BaseModel):
    keys: list[KeyView]
    next: UUID | None
    """
    The cursor of the next page; null on the last.
    """


class Artifacts(BaseModel):
    artifacts: list[ArtifactOfJob]
    scalars: Any
    series: Any


class Became1(BaseModel):
    """
    What became of one job, in the order in which they were sent.
    """

    accepted: Receipt


class Became2(BaseModel):
    """
    What became of one job, in the order in which they were sent.
    """

    problem: Problem


class BlockedBy(BaseModel):
    """
    What is in a job's way, as far as the asker may know.
    """

    ahead: int | None = None
    """
    Jobs of the same owner and module that are queued before it, counted up to 1000.
    """
    asked: Resources | None = None
    """
    What it asks for.
    """
    jobs: list[BlockingJob]
    """
    Jobs that have to end or to succeed first; at most 100.
    """
    largest: LargestWorker | None = None
    """
    The most that a worker has of each, if there is a worker that serves the module.
    """
    limit: BlockingLimit | None = None
    """
    What may not be more, and how much of it is taken.
    """
    module: str | None = None
    """
    The module that has to be switched on, or to be served in this version.
    """
    module_version: str | None = None
    others: int
    """
    How many there are beside these, as far as they are counted.
    """
    until: AwareDatetime | None = None
    """
    When it may go on, if that is known.
    """
    worker_id: str | None = None
    """
    The worker that has been told and has to start it.
    """


class Canceled(BaseModel):
    """
    What became of one job.
    """

    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    n: int | None = None
    """
    A reader that names this number sees the end.
    """
    pending: bool | None = None
    """
    Nobody has decided yet.
    """
    problem: Problem | None = None
    """
    Why it is not canceled.
    """


class CanceledJobs(BaseModel):
    """
    What was done, or would be.
    """

    complete: bool
    """
    Whether these are all. A preview counts up to 10,000.
    """
    count: int
    """
    How many jobs were acted on, or would be.
    """
    jobs: list[Canceled]
    next: str | None
    """
    Where to go on, as `cursor`.
    """
    preview: bool
    """
    Nothing was done.
    """


class ClaimedTask(BaseModel):
    task: Task | None


class CloudEvent(BaseModel):
    """
    A fact as it is published, in CloudEvents' structured JSON.
    """

    data: Any
    """
    The fact's members, with the ids of what it is about.
    """
    datacontenttype: str
    """
    `application/json`.
    """
    id: str
    """
    The fact's place in the log: each event once, in order, and where to go on. Also `Nats-Msg-Id`.
    """
    source: str
    """
    `/nox/<tenant>`.
    """
    specversion: str
    """
    `1.0`.
    """
    subject: str
    """
    What it is about: the job's id, the name of module, worker or topic, the account, the id of schedule, webhook or key.
    """
    time: AwareDatetime
    """
    When it was decided.
    """
    traceparent: str | None = None
    """
    W3C Trace Context of the request that submitted the job, if it had one.
    """
    type: str


class Events(BaseModel):
    """
    Events behind a place, as far as they are there.
    """

    events: list[CloudEvent]
    next: str
    """
    `?after=` of the next page, which may have some even where this one has none: only where it is the place
    that was asked for there is nothing yet.
    """


class Facet(BaseModel):
    is_exact: bool
    """
    Whether these are all values.
    """
    others: int
    """
    How many jobs have further values.
    """
    values: list[FacetValue]
    """
    The 50 most frequent, the first the most.
    """


class ForeseenJob(BaseModel):
    """
    A job as it would be.
    """

    after: list[UUID]
    """
    The jobs that it would wait for.
    """
    cpu_seconds: int
    """
    Core seconds of the day's budget that it would reserve; 0 of a draft.
    """
    module: str
    """
    A module's name, for example `xtb`.
    """
    module_version: str | None
    priority: int
    requested_resources: Resources
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """


class Health(BaseModel):
    """
    How the gateway is.
    """

    jobs: JobsHealth
    status: str


class Info(BaseModel):
    """
    Which system this is.
    """

    color: str | None
    features: InfoFeatures
    limits: InfoLimits
    name: str | None
    """
    What its operator calls it, and in which colour (`#` and six hex digits).
    """
    version: str


class Job(BaseModel):
    """
    The members of the first users' example, and beside them what is canonical.

    `status` is in the words of the job's kind; for jobs of a module these are the canonical ones,
    which `state` always has.
    """

    attempt: int
    """
    The number of a try at a job, from 1.
    """
    concurrency: Concurrency | None = None
    """
    How many of its key run at a time.
    """
    createdAt: AwareDatetime | None = None
    """
    When and by whom once more, under the names that clients of commands look for.
    """
    createdBy: str | None = None
    created_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    due_at: AwareDatetime | None
    """
    When a job that waits for an instant may run.
    """
    ended_at: AwareDatetime | None
    engine: str | None = None
    """
    As what it was asked for, where that was an engine.
    """
    error: JobError | None
    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    inputs: Any = None
    """
    `null`, and `parked` says why, where they cannot be stored. Brief lists leave both out.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_name: str | None = None
    """
    What workers claim tasks of: `<room>:<category>:<name>`, of one tenant.
    """
    kind: str | None = None
    labels: dict[str, str] | None = None
    module: str
    """
    A module's name, for example `xtb`.
    """
    module_version: str | None
    n: int
    """
    The newest frame with an entry of the job that this view shows.
    """
    outputs: Any = None
    parked: str | None = None
    """
    Why the view does not tell all, where it does not.
    """
    priority: int
    progress: Progress | None = None
    """
    How far the newest attempt is, by its worker's word.
    """
    release_id: str | None = None
    requested_resources: Resources
    reserved_resources: Resources | None
    retry_of: UUID | None = None
    """
    The job that it repeats.
    """
    room_id: str | None = None
    started_at: AwareDatetime | None
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """
    waiting: Waiting | None
    worker_id: str | None
    worker_labels: list[str] | None = None


class JobBody1(BaseModel):
    """
    A job: exactly one of `module`, `engine` and `command`.
    """

    after: list[UUID] | None = None
    """
    Jobs that must succeed first.
    """
    command: str | None = None
    """
    A line of shell, run in isolation.
    """
    concurrency: ConcurrencyBody | None = None
    draft: bool | None = None
    """
    Keep it, and do not run it before `POST /jobs/{id}/submit`.
    """
    engine: str | None = None
    """
    `xtb`, `orca` or `gaussian`, whose `inputs` are a molecule and `params`.
    """
    inputs: Any | None = None
    """
    As the module's input schema has it.
    """
    kind: str | None = None
    """
    What the engine is to compute.
    """
    labels: dict[str, str] | None = None
    module: str
    """
    A module's name, for example `xtb`.
    """
    module_version: str | None = None
    """
    The present one, if left out.
    """
    priority: int | None = None
    """
    0 (last) to 9 (first).
    """
    release_id: str | None = None
    """
    What it is made for, in your words; jobs are found by it.
    """
    requested_resources: ResourcesBody | None = None
    run_at: AwareDatetime | None = None
    """
    Not before this instant.
    """
    worker_labels: list[str] | None = None
    """
    Labels that the worker must have.
    """


class JobBody2(BaseModel):
    """
    A job: exactly one of `module`, `engine` and `command`.
    """

    after: list[UUID] | None = None
    """
    Jobs that must succeed first.
    """
    command: str | None = None
    """
    A line of shell, run in isolation.
    """
    concurrency: ConcurrencyBody | None = None
    draft: bool | None = None
    """
    Keep it, and do not run it before `POST /jobs/{id}/submit`.
    """
    engine: str
    """
    `xtb`, `orca` or `gaussian`, whose `inputs` are a molecule and `params`.
    """
    inputs: Any | None = None
    """
    As the module's input schema has it.
    """
    kind: str | None = None
    """
    What the engine is to compute.
    """
    labels: dict[str, str] | None = None
    module: str | None = None
    """
    A module's name, for example `xtb`.
    """
    module_version: str | None = None
    """
    The present one, if left out.
    """
    priority: int | None = None
    """
    0 (last) to 9 (first).
    """
    release_id: str | None = None
    """
    What it is made for, in your words; jobs are found by it.
    """
    requested_resources: ResourcesBody | None = None
    run_at: AwareDatetime | None = None
    """
    Not before this instant.
    """
    worker_labels: list[str] | None = None
    """
    Labels that the worker must have.
    """


class JobBody3(BaseModel):
    """
    A job: exactly one of `module`, `engine` and `command`.
    """

    after: list[UUID] | None = None
    """
    Jobs that must succeed first.
    """
    command: str
    """
    A line of shell, run in isolation.
    """
    concurrency: ConcurrencyBody | None = None
    draft: bool | None = None
    """
    Keep it, and do not run it before `POST /jobs/{id}/submit`.
    """
    engine: str | None = None
    """
    `xtb`, `orca` or `gaussian`, whose `inputs` are a molecule and `params`.
    """
    inputs: Any | None = None
    """
    As the module's input schema has it.
    """
    kind: str | None = None
    """
    What the engine is to compute.
    """
    labels: dict[str, str] | None = None
    module: str | None = None
    """
    A module's name, for example `xtb`.
    """
    module_version: str | None = None
    """
    The present one, if left out.
    """
    priority: int | None = None
    """
    0 (last) to 9 (first).
    """
    release_id: str | None = None
    """
    What it is made for, in your words; jobs are found by it.
    """
    requested_resources: ResourcesBody | None = None
    run_at: AwareDatetime | None = None
    """
    Not before this instant.
    """
    worker_labels: list[str] | None = None
    """
    Labels that the worker must have.
    """


class JobCounts(BaseModel):
    """
    How many jobs there are.
    """

    by: dict[str, Facet]
    """
    By what was asked for, each among the jobs that all words but its own choose.
    """
    count: int
    """
    Of those that all words choose.
    """
    is_exact: bool
    """
    Whether these are all: only so many are looked at.
    """


class JobEvents(BaseModel):
    """
    A page. Not by way of a `Value`, which would write the entries anew.
    """

    events: list[Any]
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    next: int | None


class JobStats(BaseModel):
    """
    What became of jobs within a span.
    """

    canceled: int
    failed: int
    from_: Annotated[AwareDatetime, Field(alias='from')]
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    is_exact: bool
    """
    Whether these are all: only so many jobs are looked at.
    """
    part_s: float
    """
    How long a part is, in seconds.
    """
    parts: list[StatsPart]
    run_s: Quantiles
    """
    Of the same, the seconds from there to their end.
    """
    submitted: int
    succeeded: int
    to: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    wait_s: Quantiles
    """
    Of jobs that succeeded or failed in it, the seconds from their creation to the start of their newest attempt.
    """


class JobTemplate(BaseModel):
    """
    What a schedule submits.
    """

    concurrency: Concurrency | None = None
    """
    How many of its key run at a time.
    """
    inputs: Any
    labels: dict[str, str] | None = None
    """
    As [`Metadata`] has them.
    """
    module: str
    """
    A module's name, for example `xtb`.
    """
    module_version: str | None = None
    """
    The present one if absent.
    """
    priority: int
    release_id: str | None = None
    requested_resources: Resources
    worker_labels: list[str] | None = None


class Jobs(BaseModel):
    """
    A page. Not by way of a `Value`, which would make doubles of the numbers in inputs and outputs.
    """

    jobs: list[Job]
    next: str | None


class Ledger(BaseModel):
    ledger: list[LedgerLine]
    next: str | None
    """
    The cursor of the next page; null on the last.
    """


class ModuleCaps(BaseModel):
    resources: Resources
    retry: RetryPolicy
    running_max: int | None
    starts_per_minute: int | None


class ModuleVersion(BaseModel):
    inputs: Any
    """
    JSON Schema.
    """
    outputs: Any
    present: bool
    """
    What jobs get that name none.
    """
    registered: ModuleRegistration | None
    """
    Who registered it, and when; null of one that workers have by themselves.
    """
    resources: Resources
    retry: RetryPolicy
    running_max: int | None
    title: str
    version: str


class ModuleVersions(BaseModel):
    name: str
    """
    A module's name, for example `xtb`.
    """
    versions: list[ModuleVersion]


class QuotaAccount(BaseModel):
    account: str
    """
    `tenant` or `user/<id>`.
    """
    change: LimitsChange | None
    """
    What an admin changed last, if that is not overwritten by a role since.
    """
    limits: Limits
    n: int
    """
    The frame that set them; of the past, the last frame that was taken in.
    """
    period: AwareDatetime
    """
    The day that `usage` is of: its first instant.
    """
    role: str
    """
    The role that the limits come from, unless an admin set them; empty of a tenant.
    """
    set_at: AwareDatetime | None
    """
    Null of the past, as `change` is.
    """
    tenant: str
    """
    A tenant: the unit of isolation and of sharding. A slug, because it stands in subjects.
    """
    usage: list[QuotaUsage]
    user_id: str | None
    """
    Null of the tenant's own.
    """


class QuotaAccounts(BaseModel):
    accounts: list[QuotaAccount]
    next: str | None
    """
    The cursor of the next page; null on the last.
    """


class QuotaEntries(BaseModel):
    entries: list[QuotaEntry]
    next: str | None
    """
    The cursor of the next page, which may have some even where this one has none; null at the end.
    """


class Schedule(BaseModel):
    catch_up_s: int
    created_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    cron: str
    id: UUID
    """
    A schedule.
    """
    job: JobTemplate
    key_id: UUID | None
    """
    The API key that it is bound to: it is paused when that is revoked or has run out.
    """
    last: ScheduleOccurrence | None
    """
    The newest occurrence.
    """
    last_job_id: UUID | None
    n: int
    """
    A message's place in the log of facts: gapless, from 1.
    """
    name: str
    next_due_at: AwareDatetime | None
    """
    When it is due next, as it was decided; null while it is paused, and of one that is never due again.
    """
    next_times: list[AwareDatetime]
    """
    When it is due next and after that, by the rules of its zone as they are known now.
    """
    overlap: str
    """
    What becomes of an occurrence while the job of an earlier one has not ended.
    """
    pause_reason: str | None
    """
    Why it is paused: `asked`, `key_revoked` or `key_expired`.
    """
    paused: bool
    time_zone: str
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """


class Schedules(BaseModel):
    next: UUID | None
    """
    The cursor of the next page; null on the last.
    """
    schedules: list[Schedule]


class SystemArchive(BaseModel):
    bytes: int
    """
    As they are kept.
    """
    newest: SystemSegment | None
    oldest: SystemSegment | None
    """
    `null` of none.
    """
    segments: int


class Webhook(BaseModel):
    created_at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    description: str
    disabled_reason: str | None
    """
    Why Nox switched it off: `gone`, `failing`, `key_revoked` or `key_expired`.
    """
    enabled: bool
    """
    Whether anything is sent.
    """
    endpoint: WebhookEndpoint | None
    """
    How its endpoint is; null where that was not asked for, or nobody knows.
    """
    expires_at: AwareDatetime | None
    filter: EventFilter
    id: UUID
    """
    A webhook.
    """
    key_id: UUID | None
    """
    The API key that it is bound to: it is switched off when that is revoked or has run out.
    """
    n: int
    """
    A message's place in the log of facts: gapless, from 1.
    """
    of_tenant: bool
    previous_secret_until: AwareDatetime | None
    rotation: int
    """
    How often its secret was rotated, and until when the one before signs as well.
    """
    url: str
    user_id: str
    """
    A user: any text up to 256 bytes without control characters. It stands in payloads only.
    """


class WebhookDeliveries(BaseModel):
    deliveries: list[WebhookDelivery]
    next: int | None
    """
    The cursor of the next page; null on the last.
    """


class Webhooks(BaseModel):
    next: UUID | None
    """
    The cursor of the next page; null on the last.
    """
    webhooks: list[Webhook]


class Why(BaseModel):
    """
    Why a job stands where it stands.
    """

    blocked_by: BlockedBy | None
    """
    What is in its way, or was then; `null` where nothing is.
    """
    code: str | None
    """
    Why it does not run, while it is queued.
    """
    history: list[Stood]
    """
    Where it stood, from its beginning on.
    """
    id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    job_id: UUID
    """
    A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
    """
    n: int
    """
    The newest frame with an entry of the job that this tells.
    """
    parked: str | None = None
    """
    Why its row does not tell all, where it does not: `unknown_fact` of a job that a newer version of Nox led on,
    and that stands still until that leads again.
    """
    ran_s: float
    """
    How long its attempts ran, in seconds.
    """
    reason: str
    """
    All of it in a sentence, for people.
    """
    since: AwareDatetime
    """
    Since when it stands as it does.
    """
    state: str
    """
    Where a job is. Each surface of the API has its own words for these; facts and rows have these.
    """
    status: str
    waited: list[Waited]
    """
    How long it waited for what, the longest first.
    """


class BatchAnswers(BaseModel):
    jobs: list[Became1 | Became2]


class BatchBody(BaseModel):
    """
    Many jobs.
    """

    atomic: bool | None = None
    """
    True, if left out: all are admitted or none. If false, each is judged by itself, and what is none is answered
    with its problem beside the answers to the others.
    """
    jobs: list[Any | JobBody1 | JobBody2 | JobBody3]


class DryRun(BaseModel):
    """
    What would become of a job that is not submitted.
    """

    dry_run: bool
    """
    Nothing was recorded.
    """
    job: ForeseenJob | None
    """
    The job as it would be; absent where there is one already.
    """
    known_job_id: UUID | None
    """
    The job that the request's key has made already, if it has.
    """
    limits_known: bool
    """
    Whether the limits of the asker and its tenant are known, and there is room: those of a user are not known before
    its first submit.
    """


class Module(BaseModel):
    """
    A module as everybody sees it. Not by way of a `Value`, which would make doubles of the numbers in
    its schemas.
    """

    caps: ModuleCaps
    enabled: bool
    n: int
    """
    A message's place in the log of facts: gapless, from 1.
    """
    name: str
    """
    A module's name, for example `xtb`.
    """
    registered: ModuleRegistration | None
    """
    Who registered the present version, and when; null of one that workers have by themselves.
    """
    schema_: Annotated[ModuleSchemas, Field(alias='schema')]
    title: str
    version: str
    versions: list[str]
    """
    All that jobs may name, the present one first.
    """


class Modules(BaseModel):
    modules: list[Module]


class System(BaseModel):
    """
    How the system is, some seconds old at most. What cannot be told is `null`, and `troubles` say why.
    """

    archive: SystemArchive | None
    """
    The log's segments; `null` as well where this gateway has no archive.
    """
    at: AwareDatetime
    """
    An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
    [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
    """
    projection: SystemProjection
    readers: list[SystemReader] | None
    """
    Those that said within a week how far they had come. `projector`, `notifier` (the feed), `webhooks`, `audit`.
    """
    streams: list[SystemStream]
    troubles: list[SystemTrouble]
    version: str
