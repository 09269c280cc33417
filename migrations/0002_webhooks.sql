-- Where events are sent. What is on its way there is no part of the read model: see migrations/outbox/.
create table webhooks (
    webhook_id uuid primary key,
    tenant text collate "C" not null,
    -- Who may see and change it, admins aside.
    user_id text collate "C" not null,
    -- URL, filter and the rest, as they were written. The URL may hold a secret.
    spec json not null,
    -- The API key that it is bound to, and when that runs out.
    key_id uuid,
    expires_at timestamptz,
    -- How often its secret was rotated, and how long the one of before signs as well.
    rotation integer not null check (rotation >= 0),
    previous_until timestamptz,
    -- Why it sends nothing, since it was set last.
    disabled text check (disabled in ('gone', 'failing', 'key_revoked', 'key_expired')),
    created_at timestamptz not null,
    -- The frame in which it was set last.
    set_in bigint not null,
    n bigint not null
);
create index webhooks_by_tenant on webhooks (tenant, webhook_id);
