-- What webhooks have to send, and what became of it: the notifier's own, in a schema of its own (`nox_outbox`). It is no
-- part of the read model, and no rebuild touches it.

-- How far the log was looked through. Moves with the deliveries, by compare-and-set on (n, chain, writer).
create table place (
    one boolean primary key default true check (one),
    n bigint not null check (n >= 0),
    chain text not null check (chain like 'b3:%'),
    -- Which life of NOX_EVENTS `n` counts in; empty until the notifier first attached.
    incarnation text not null default '',
    -- The notifier that attached last: no other one may write.
    writer uuid
);
insert into place (n, chain) values (0, 'b3:' || repeat('0', 64));

-- Webhooks as the log had them at that place, and how their endpoints are.
create table webhooks (
    webhook_id uuid primary key,
    tenant text collate "C" not null,
    owner text collate "C" not null,
    spec json not null,
    expires_at timestamptz,
    rotation integer not null check (rotation >= 0),
    previous_until timestamptz,
    -- Whether it sends anything.
    is_on boolean not null,
    -- The frame in which it was set last.
    set_in bigint not null,
    -- Attempts that failed since the last one that was taken, and since when they do.
    failures integer not null default 0,
    failing_since timestamptz,
    -- Deliveries that were given up because too many waited.
    dropped bigint not null default 0
);

create table deliveries (
    -- The order in which they were made.
    seq bigint generated always as identity primary key,
    webhook_id uuid not null references webhooks on delete cascade,
    delivery_id uuid not null,
    -- Where the event stands in the log.
    event_id text not null,
    event_type text not null,
    body text not null,
    -- `pending`: waits for its first or next attempt, or is under way. `delivered`: was taken. `failed`: all attempts
    -- were in vain. `dropped`: too many waited. `canceled`: the webhook was switched off.
    state text not null check (state in ('pending', 'delivered', 'failed', 'dropped', 'canceled')),
    attempts integer not null default 0,
    -- When the next attempt is due.
    due_at timestamptz not null,
    created_at timestamptz not null,
    last_at timestamptz,
    -- What the last attempt was answered with, or why there was no answer.
    status integer,
    error text,
    unique (webhook_id, delivery_id)
);
create index deliveries_due on deliveries (webhook_id, due_at, seq) where state = 'pending';
create index deliveries_listed on deliveries (webhook_id, seq);
create index deliveries_ended on deliveries (last_at) where state <> 'pending';
