-- The read model of one generation: a fold of the log of facts, written by the projector alone.
-- Every table can be dropped and filled again from the log; a rebuild fills a schema of its own.

-- How far the log is folded in. Moves with the rows, by compare-and-set on (n, chain).
create table projection (
    one boolean primary key default true check (one),
    n bigint not null check (n >= 0),
    chain text not null check (chain like 'b3:%'),
    -- Which life of NOX_EVENTS `n` counts in; null until the projector first attached.
    incarnation text,
    -- How far the inputs are consumed: everything before this part of this message. And which lives of
    -- NOX_COMMANDS and NOX_REPORTS that counts in: those of the first term, until an operator gave one
    -- up. Empty before the first term.
    commands_seq bigint not null default 0 check (commands_seq >= 0),
    commands_part integer not null default 0 check (commands_part >= 0),
    commands_incarnation text not null default '',
    reports_seq bigint not null default 0 check (reports_seq >= 0),
    reports_part integer not null default 0 check (reports_part >= 0),
    reports_incarnation text not null default '',
    at timestamptz,
    -- How long rows of ended jobs, violations and parked entries are kept, in days; null: for ever. As the
    -- projector was told last.
    keep_days integer check (keep_days >= 0),
    -- Rows of before do not count any more, whether they have been removed yet or not.
    -- Never goes back: what was removed once stays away.
    expired_before timestamptz
);

insert into projection (n, chain) values (0, 'b3:' || repeat('0', 64));

-- Jobs of which more is to come: drafts, queued, running, or still with a worker that has to say `stopped`.
-- No index has a column that most updates change, and a page has room for a second version of many of its
-- rows, so that such an update is HOT: it touches no index. One that changes the status is none, for
-- `jobs_live_busy`: a job that runs for longer than a batch pays for that once, when it has started.
--
-- Columns of fixed length that are always there stand first, so that Postgres knows where each of them is.
create table jobs_live (
    id uuid primary key,
    -- The newest frame with an entry of the job.
    n bigint not null,
    -- Where the entry that made the job stands: the number of its frame, shifted left by 20 bits, and its
    -- place among the frame's entries, counted from 0. Lists are paged by it, newest first: unlike an
    -- instant, no two jobs share it.
    submitted bigint not null check (submitted >> 20 between 1 and n),
    -- Which runs of the lists' indexes the job is in, those of its tenant and of its user: numbers of names
    -- and status, which are cheaper to compare and to keep than those; see `libs/readmodel/src/rows/run.rs`.
    tenant_run bigint not null,
    user_run bigint not null,
    attempt integer not null check (attempt >= 0),
    created_at timestamptz not null,
    cpu bigint not null,
    mem_mb bigint not null,
    wall_time_s bigint not null,
    gpu bigint not null,
    -- The job's entry in the ledger, in core seconds of `period`; see `quota_ledger`.
    reservation bigint not null check (reservation >= 0),
    reserved bigint not null check (reserved >= 0),
    used bigint not null check (used >= 0),
    overrun bigint not null check (overrun >= 0),
    -- What else the fold needs to go on: how it went before, whether a worker has it or still has to say
    -- `stopped`, and (`work`) what was handed out and not yet started.
    failures integer not null check (failures >= 0),
    crashes integer not null check (crashes >= 0),
    suspicions integer not null check (suspicions >= 0),
    priority smallint not null check (priority between 0 and 9),
    held boolean not null check (not held or worker_id is not null),
    tenant text collate "C" not null,
    user_id text collate "C" not null,
    module text collate "C" not null,
    status text collate "C" not null check (status in ('draft', 'queued', 'running', 'succeeded', 'failed', 'canceled')),
    -- The numbers of the frames with entries of the job after its first, each once, as a LEB128
    -- distance from the one before; of very many the newest.
    frames bytea not null,
    period timestamptz,
    -- When the newest attempt started; kept after its end.
    started_at timestamptz,
    ended_at timestamptz,
    due_at timestamptz,
    work bigint,
    waiting_code text check (waiting_code is null or status = 'queued'),
    -- The worker of the newest attempt; kept after its end.
    worker_id text,
    -- As they were written.
    inputs json,
    error jsonb,
    fingerprint text,
    -- Why the row does not tell all, or all of it: see `parked`.
    parked text check (parked in ('unstorable', 'unknown_fact', 'refused')),
    -- What attempts are given instead of what was asked for, since one failed for want of more.
    raised_resources jsonb,
    -- The version of the module that it was submitted for, and labels that its worker must have.
    module_version text,
    worker_labels jsonb,
    -- What makes it a task: the topic that workers claim it of, and the room that it was submitted in.
    topic text collate "C",
    room text collate "C" check ((room is null) = (topic is null)),
    -- How far the newest attempt is, by its worker's word.
    progress jsonb,
    -- What its submitter says of it: labels, an object of texts; what it was made for; the job that it repeats;
    -- and how many of its key run at a time.
    labels jsonb,
    release_id text collate "C",
    retry_of uuid,
    concurrency jsonb,
    check (reserved + used <= reservation),
    check (reservation = 0 or period is not null),
    check ((status in ('succeeded', 'failed', 'canceled')) = (ended_at is not null))
) with (fillfactor = 70);

-- Jobs that are over: written once, and hardly ever touched again. Columns as in `jobs_live`.
create table jobs_ended (
    id uuid primary key,
    n bigint not null,
    submitted bigint not null check (submitted >> 20 between 1 and n),
    tenant_run bigint not null,
    user_run bigint not null,
    attempt integer not null check (attempt >= 0),
    created_at timestamptz not null,
    ended_at timestamptz not null,
    cpu bigint not null,
    mem_mb bigint not null,
    wall_time_s bigint not null,
    gpu bigint not null,
    reservation bigint not null check (reservation >= 0),
    reserved bigint not null check (reserved >= 0),
    used bigint not null check (used >= 0),
    overrun bigint not null check (overrun >= 0),
    failures integer not null check (failures >= 0),
    crashes integer not null check (crashes >= 0),
    suspicions integer not null check (suspicions >= 0),
    priority smallint not null check (priority between 0 and 9),
    tenant text collate "C" not null,
    user_id text collate "C" not null,
    module text collate "C" not null,
    status text collate "C" not null check (status in ('succeeded', 'failed', 'canceled')),
    frames bytea not null,
    period timestamptz,
    started_at timestamptz,
    due_at timestamptz,
    worker_id text,
    inputs json,
    outputs json check (outputs is null or status = 'succeeded'),
    error jsonb,
    fingerprint text,
    parked text check (parked in ('unstorable', 'unknown_fact', 'refused')),
    raised_resources jsonb,
    module_version text,
    worker_labels jsonb,
    topic text collate "C",
    room text collate "C" check ((room is null) = (topic is null)),
    progress jsonb,
    labels jsonb,
    release_id text collate "C",
    retry_of uuid,
    concurrency jsonb,
    check (reserved + used <= reservation),
    check (reservation = 0 or period is not null)
);

-- For lists, see `libs/readmodel/src/query/list.rs`: whatever a list looks for stands before its order, so
-- that a page reads its own rows and no others. No two indexes of a table begin with the same column, so
-- that each statement has one index to go by, whatever the statistics say.
create index jobs_live_by_user on jobs_live (user_run, submitted);
create index jobs_live_by_tenant on jobs_live (tenant_run, submitted);
create index jobs_ended_by_user on jobs_ended (user_run, submitted);
create index jobs_ended_by_tenant on jobs_ended (tenant_run, submitted);
-- As many as workers have room for. Whatever finds just these costs an entry when a job starts: an index on
-- something that is set earlier would make that update HOT, and the one that assigns a short job not.
create index jobs_live_busy on jobs_live (tenant, submitted) where status not in ('queued', 'draft');
-- Few again, and bounded by a limit of each user.
create index jobs_live_drafts on jobs_live (tenant, submitted) where status = 'draft';
-- Tasks, which are few among the jobs of most: those of a topic in the order in which they are claimed, and those
-- of a room.
create index jobs_live_by_topic on jobs_live (topic, tenant, submitted) where topic is not null;
create index jobs_live_by_room on jobs_live (room, tenant, submitted) where room is not null;
create index jobs_ended_by_room on jobs_ended (room, tenant, submitted) where room is not null;

-- What is named by few: a job without labels, and of no release, is in none of these.
create index jobs_live_by_label on jobs_live using gin (labels jsonb_path_ops) where labels is not null;
create index jobs_ended_by_label on jobs_ended using gin (labels jsonb_path_ops) where labels is not null;
create index jobs_live_by_release on jobs_live (release_id, tenant, submitted) where release_id is not null;
create index jobs_ended_by_release on jobs_ended (release_id, tenant, submitted) where release_id is not null;

-- All jobs, with the resources in the words of the API.
create view jobs as
select id, tenant, user_id, module, status, attempt, waiting_code, inputs, null::json as outputs,
       jsonb_build_object('cpu', cpu, 'mem_mb', mem_mb, 'wall_time_s', wall_time_s, 'gpu', gpu)
           as requested_resources,
       -- What is set aside: the resources of an attempt, and the core seconds of the budget.
       case when period is not null then
           jsonb_build_object('cpu', cpu, 'mem_mb', mem_mb, 'wall_time_s', wall_time_s, 'gpu', gpu)
               || coalesce(raised_resources, '{}') || jsonb_build_object('cpu_seconds', reservation)
       end as reserved_resources,
       created_at, started_at, ended_at, error, n, worker_id, priority, fingerprint, parked,
       submitted >> 20 as submitted_n, (submitted & 1048575)::integer as submitted_place,
       due_at, work, held, failures, crashes, suspicions, period,
       reservation, reserved, used, overrun, frames, raised_resources, module_version, worker_labels,
       topic, room, progress, labels, release_id, retry_of,
       concurrency
from jobs_live
union all
select id, tenant, user_id, module, status, attempt, null, inputs, outputs,
       jsonb_build_object('cpu', cpu, 'mem_mb', mem_mb, 'wall_time_s', wall_time_s, 'gpu', gpu),
       case when period is not null then
           jsonb_build_object('cpu', cpu, 'mem_mb', mem_mb, 'wall_time_s', wall_time_s, 'gpu', gpu)
               || coalesce(raised_resources, '{}') || jsonb_build_object('cpu_seconds', reservation)
       end,
       created_at, started_at, ended_at, error, n, worker_id, priority, fingerprint, parked,
       submitted >> 20, (submitted & 1048575)::integer,
       due_at, null, false, failures, crashes, suspicions, period,
       reservation, reserved, used, overrun, frames, raised_resources, module_version, worker_labels,
       topic, room, progress, labels, release_id, retry_of,
       concurrency
from jobs_ended;

-- The ledger, one line a job: a row of its own would cost as much as the job's.
create view quota_ledger as
select tenant,
       'user/' || user_id as account,
       period,
       id as job_id,
       reservation,
       reserved,
       used,
       reservation - reserved - used as released,
       overrun,
       submitted_n,
       n
from jobs
where period is not null;

create table quota_balances (
    tenant text not null,
    -- `tenant` or `user/<id>`.
    account text not null,
    -- The first instant of the UTC day.
    period timestamptz not null,
    granted bigint not null check (granted >= 0),
    -- Below zero after the budget of a running period was cut.
    free bigint not null,
    reserved bigint not null check (reserved >= 0),
    used bigint not null check (used >= 0),
    -- Used beyond the reservations; no budget paid it.
    overrun bigint not null check (overrun >= 0),
    n bigint not null,
    primary key (tenant, account, period),
    check (free + reserved + used = granted)
);

create table quota_limits (
    tenant text collate "C" not null,
    account text collate "C" not null,
    role text not null,
    cpu_seconds bigint not null,
    queued_jobs bigint not null,
    running_jobs bigint not null,
    cpu bigint not null,
    mem_mb bigint not null,
    drafts bigint not null,
    starts_per_minute bigint not null,
    -- The admin whose word it is, and why; null of a role's.
    changed_by text,
    reason text check ((reason is null) = (changed_by is null)),
    -- An admin's, which no role's replace; else they follow the role.
    fixed boolean not null check (not fixed or changed_by is not null),
    set_at timestamptz not null,
    n bigint not null,
    primary key (tenant, account)
);

-- How many jobs an account has of what its limits count: those that have not ended, and attempts that a worker
-- has. No row, or a row of zeros: none.
create table quota_usage (
    tenant text collate "C" not null,
    -- `tenant` or `user/<id>`.
    account text collate "C" not null,
    -- Written as differences, of which Postgres would check each as if it were a row: see
    -- `usage_differences` in `libs/readmodel/src/audit.rs`.
    queued_jobs bigint not null,
    running_jobs bigint not null,
    primary key (tenant, account)
);

create table quota_violations (
    n bigint not null,
    -- Which of all facts of the frame, counted from 0.
    part integer not null,
    tenant text not null,
    account text not null,
    user_id text not null,
    job_id uuid not null,
    module text not null,
    code text not null,
    quota text,
    usage bigint,
    quota_limit bigint,
    requested bigint,
    retry_after_s bigint,
    detail text not null,
    at timestamptz not null,
    primary key (n, part)
);

create index quota_violations_by_tenant on quota_violations (tenant, n);
create index quota_violations_by_user on quota_violations (tenant, user_id, n);

create table modules (
    name text primary key,
    version text not null,
    -- What the module can do and needs: resources, retry policy, most attempts at a time.
    caps jsonb not null,
    -- JSON Schemas of inputs and outputs.
    schema jsonb not null,
    enabled boolean not null,
    manifest jsonb not null,
    -- The manifests of other versions, in the order in which they were the present one last.
    others jsonb not null,
    -- Which of the versions admins registered: who, and when.
    registered jsonb not null,
    n bigint not null
);

create table workers (
    worker_id text primary key,
    session uuid not null,
    state text not null check (state in ('joined', 'draining', 'paused', 'left', 'lost')),
    capacity jsonb not null,
    modules jsonb not null,
    labels jsonb not null,
    -- Whose it is, if it claims its work; then its labels are the topics that it claims tasks of.
    claimant jsonb,
    -- Who took it out of service, while it is; kept over its sessions.
    drained_by text,
    joined_at timestamptz not null,
    -- When the log heard of it last, to ten seconds.
    seen_at timestamptz not null,
    left_at timestamptz,
    n bigint not null,
    check ((state in ('left', 'lost')) = (left_at is not null))
);

-- The workers of a topic. Those that claim their work have a row for as long as they are there.
create index workers_claiming on workers using gin (labels jsonb_path_ops)
where claimant is not null;

-- What workers claim tasks of. A row goes when no worker registers it and no task of it is open.
create table topics (
    tenant text collate "C" not null,
    -- `<room>:<category>:<name>`.
    topic text collate "C" not null,
    room text collate "C" not null,
    -- As it was declared.
    schema json not null,
    -- Who registered it first.
    user_id text not null,
    registered_at timestamptz not null,
    n bigint not null,
    primary key (tenant, topic)
);

create index topics_by_room on topics (room, tenant);

-- API keys that were not revoked. Nothing here proves one: the hash is of a secret with 244 bits of chance.
create table api_keys (
    key_id uuid primary key,
    tenant text collate "C" not null,
    name text not null,
    -- Whom it acts as.
    user_id text collate "C" not null,
    role text not null,
    scopes jsonb not null,
    expires_at timestamptz,
    hash text not null,
    created_by text collate "C" not null,
    created_at timestamptz not null,
    n bigint not null
);

create index api_keys_by_tenant on api_keys (tenant, key_id);

-- What is submitted again and again.
create table schedules (
    schedule_id uuid primary key,
    tenant text collate "C" not null,
    -- Whose jobs they are.
    user_id text collate "C" not null,
    role text not null,
    name text not null,
    -- Times, zone, overlap and job, as they were written.
    spec json not null,
    -- The API key that it is bound to.
    key_id uuid,
    -- Why it submits nothing, while it is paused.
    paused text check (paused in ('asked', 'key_revoked', 'key_expired')),
    -- Whether the leader has said when it is due next, since it was set or resumed.
    planned boolean not null,
    -- Null while it is paused, before it is planned, and of one that is never due again.
    next_due_at timestamptz,
    -- The newest occurrence, and what became of it.
    last jsonb,
    last_job_id uuid,
    created_at timestamptz not null,
    n bigint not null
);

create index schedules_by_tenant on schedules (tenant, schedule_id);

-- The metrics of jobs, folded with the rows, so that they survive restarts and have one owner.
create table metrics (
    name text not null,
    labels jsonb not null,
    value bigint not null,
    primary key (name, labels)
);

-- Entries that rows could not take in, byte for byte.
create table parked (
    n bigint not null,
    -- Which entry of the frame, counted from 0.
    place integer not null check (place >= 0),
    tenant text not null,
    job_id uuid,
    -- When it was decided.
    at timestamptz not null,
    -- The job has no row: only what is here tells that it is known, and so it never expires.
    rowless boolean not null,
    -- `unstorable`: the fold goes on, what could not be stored is missing from the row.
    -- `unknown_fact`, `refused`: the job's row stays as it was before, whatever comes after.
    reason text not null check (reason in ('unstorable', 'unknown_fact', 'refused')),
    detail text not null,
    payload bytea not null,
    primary key (n, place)
);

create index parked_by_job on parked (job_id) where rowless;
