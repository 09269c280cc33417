// Made from docs/openapi.json by `npm run types`.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description One act. */
        Act: {
            /** @description When it was decided. */
            at: components["schemas"]["Timestamp"];
            /** @description Of what was refused. */
            code?: string | null;
            /** @description The address that the request came from. */
            from?: string | null;
            /** @description Its place in the log: of the fact that says so; of what was refused without one, behind the frame's entries. */
            id: components["schemas"]["FactPlace"];
            key_id?: components["schemas"]["KeyId"] | null;
            n: components["schemas"]["FrameNumber"];
            object: components["schemas"]["AuditObject"];
            outcome: components["schemas"]["AuditOutcome"];
            /** @description Why, in the asker's words. */
            reason?: string | null;
            request_id?: string | null;
            role?: string | null;
            /** @description Of whoever asked, else of what it is about. */
            tenant: components["schemas"]["TenantId"];
            /**
             * @description The token's `jti`, or the API key's id. Logs from before who asked was recorded have neither, no role and no
             *     address.
             */
            token_id?: string | null;
            /** @description Who asked; nobody of what the system did. */
            user_id?: components["schemas"]["UserId"] | null;
            /** @description What was done, as `<kind>.<verb>`. */
            verb: string;
        };
        /** @description Acts, as far as they were looked for. */
        Acts: {
            acts: components["schemas"]["Act"][];
            /** @description The cursor of the next page, which may have some even where this one has none; null at the end. */
            next: components["schemas"]["FactPlace"] | null;
        };
        ApiKeys: {
            keys: components["schemas"]["KeyView"][];
            /** @description The cursor of the next page; null on the last. */
            next: components["schemas"]["KeyId"] | null;
        };
        /** @description A kept file, as the fact that completes its job names it. */
        ArtifactOfJob: {
            /** @description The media type that its name says. */
            mime: string;
            /** @description In the form of [`name`]; no other file of the job has it. */
            name: string;
            path: string;
            /** @description In lower-case hexadecimal digits. */
            sha256: string;
            /**
             * Format: uint64
             * @description In bytes.
             */
            size: number;
        };
        Artifacts: {
            artifacts: components["schemas"]["ArtifactOfJob"][];
            scalars: components["schemas"]["Json"];
            series: components["schemas"]["Json"];
        };
        /**
         * Format: uint32
         * @description The number of a try at a job, from 1.
         */
        Attempt: number;
        /** @description What an act is about. */
        AuditObject: {
            id: string;
            /** @description `job`, `quota`, `worker`, `module`, `topic`, `key`, `schedule` or `system`. */
            kind: string;
        };
        /** @enum {string} */
        AuditOutcome: "done" | "refused";
        BatchAnswers: {
            jobs: components["schemas"]["Became"][];
        };
        /** @description Many jobs. */
        BatchBody: {
            /**
             * @description True, if left out: all are admitted or none. If false, each is judged by itself, and what is none is answered
             *     with its problem beside the answers to the others.
             */
            atomic?: boolean;
            jobs: components["schemas"]["JobOrNot"][];
        };
        /** @description What became of one job, in the order in which they were sent. */
        Became: {
            accepted: components["schemas"]["Receipt"];
        } | {
            problem: components["schemas"]["Problem"];
        };
        /** @description What is in a job's way, as far as the asker may know. */
        BlockedBy: {
            /**
             * Format: uint
             * @description Jobs of the same owner and module that are queued before it, counted up to 1000.
             */
            ahead?: number | null;
            /** @description What it asks for. */
            asked?: components["schemas"]["Resources"] | null;
            /** @description Jobs that have to end or to succeed first; at most 100. */
            jobs: components["schemas"]["BlockingJob"][];
            /** @description The most that a worker has of each, if there is a worker that serves the module. */
            largest?: components["schemas"]["LargestWorker"] | null;
            /** @description What may not be more, and how much of it is taken. */
            limit?: components["schemas"]["BlockingLimit"] | null;
            /** @description The module that has to be switched on, or to be served in this version. */
            module?: components["schemas"]["ModuleName"] | null;
            module_version?: string | null;
            /**
             * Format: uint
             * @description How many there are beside these, as far as they are counted.
             */
            others: number;
            /** @description When it may go on, if that is known. */
            until?: components["schemas"]["Timestamp"] | null;
            /** @description The worker that has been told and has to start it. */
            worker_id?: components["schemas"]["WorkerId"] | null;
        };
        BlockingJob: {
            job_id: components["schemas"]["JobId"];
            state: components["schemas"]["JobState"];
        };
        BlockingLimit: {
            /** Format: uint64 */
            most: number;
            /** @description `running_jobs` of an account, `running_max` of a module, or `concurrency` of a key. */
            name: string;
            /** @description The account, module or key. */
            of: string;
            /**
             * Format: uint64
             * @description Where it is counted.
             */
            used: number | null;
        };
        /** @description What became of a cancel. */
        CancelReceipt: {
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            /** @description A reader that names this number sees the end. */
            n?: components["schemas"]["FrameNumber"] | null;
            /** @description Nobody has decided yet. */
            pending?: boolean;
            state: components["schemas"]["JobState"];
            /** @description In the words of the job's kind. */
            status: string;
        };
        /** @description What became of one job. */
        Canceled: {
            job_id: components["schemas"]["JobId"];
            /** @description A reader that names this number sees the end. */
            n?: components["schemas"]["FrameNumber"] | null;
            /** @description Nobody has decided yet. */
            pending?: boolean;
            /** @description Why it is not canceled. */
            problem?: components["schemas"]["Problem"] | null;
        };
        /** @description What was done, or would be. */
        CanceledJobs: {
            /** @description Whether these are all. A preview counts up to 10,000. */
            complete: boolean;
            /**
             * Format: uint
             * @description How many jobs were acted on, or would be.
             */
            count: number;
            jobs: components["schemas"]["Canceled"][];
            /** @description Where to go on, as `cursor`. */
            next: string | null;
            /** @description Nothing was done. */
            preview: boolean;
        };
        /** @description What a worker offers, or what of it is in use. */
        Capacity: {
            /** Format: uint32 */
            cpu: number;
            /** Format: uint32 */
            gpu?: number;
            /**
             * Format: uint32
             * @description Memory in MiB.
             */
            mem_mb: number;
            /**
             * Format: uint32
             * @description Attempts at a time.
             */
            slots: number;
        };
        Chunk: {
            at: components["schemas"]["Timestamp"];
            attempt: components["schemas"]["Attempt"];
            /** @description All bytes, where `text` has something in place of what is no UTF-8. */
            base64?: string | null;
            /** @description Whether its stream ends with it. */
            end: boolean;
            /** Format: uint64 */
            length: number;
            /**
             * Format: uint64
             * @description Bytes before it that are not there.
             */
            missing: number;
            /**
             * Format: uint64
             * @description Where it stands in its stream.
             */
            offset: number;
            /** Format: uint64 */
            seq: number;
            stream: string;
            text: string;
        };
        ClaimBody: {
            /** @default null */
            worker_id: string | null;
        };
        ClaimedTask: {
            task: components["schemas"]["Task"] | null;
        };
        /** @description A fact as it is published, in CloudEvents' structured JSON. */
        CloudEvent: {
            /** @description The fact's members, with the ids of what it is about. */
            data: components["schemas"]["Json"];
            /** @description `application/json`. */
            datacontenttype: string;
            /** @description The fact's place in the log: each event once, in order, and where to go on. Also `Nats-Msg-Id`. */
            id: components["schemas"]["FactPlace"];
            /** @description `/nox/<tenant>`. */
            source: string;
            /** @description `1.0`. */
            specversion: string;
            /** @description What it is about: the job's id, the name of module, worker or topic, the account, the id of schedule, webhook or key. */
            subject: string;
            /** @description When it was decided. */
            time: components["schemas"]["Timestamp"];
            /** @description W3C Trace Context of the request that submitted the job, if it had one. */
            traceparent?: string | null;
            type: components["schemas"]["EventType"];
        };
        /**
         * @description While a job runs, no more than its `limit` of jobs with its `key` run in its tenant, itself included:
         *     of several limits, the least of those that run and of the one that is to start counts.
         */
        Concurrency: {
            /** @description At most [`CONCURRENCY_KEY_BYTES_MAX`]. */
            key: string;
            /**
             * Format: uint32
             * @description 1 to [`CONCURRENCY_LIMIT_MAX`].
             */
            limit: number;
        };
        /** @description While a job runs, no more than its `limit` of jobs with its `key` run in its tenant. */
        ConcurrencyBody: {
            key: string;
            /**
             * Format: uint32
             * @description 1, if left out.
             */
            limit?: number;
        };
        CreateKey: {
            /** @description Never if absent. */
            expires_at?: components["schemas"]["Timestamp"] | null;
            /** @description For people; 1 to 128 bytes. */
            name: string;
            /** @description `user` or `admin`, not more than the maker's, which it is if absent. */
            role?: string | null;
            /**
             * @description Of `compute:read` and `compute:write`; the maker's if absent.
             * @default []
             */
            scopes: string[];
            /** @description It acts as the user `service:<name>` instead of as its maker; for admins. */
            service?: string | null;
        };
        /**
         * Format: uuid
         * @description An event on its way to a webhook's endpoint, however often it is tried.
         */
        DeliveryId: string;
        /** @description Why a webhook was switched off by Nox. */
        DisableReason: "gone" | "failing" | "key_revoked" | "key_expired";
        Drafted: {
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            release_id: string;
            state: components["schemas"]["JobState"];
            status: string;
        };
        /** @description What became of a drain. */
        Drained: {
            drained?: boolean | null;
            n?: components["schemas"]["FrameNumber"] | null;
            /** @description Nobody has decided yet. */
            pending?: boolean;
            worker_id: components["schemas"]["WorkerId"];
        };
        /** @description What would become of a job that is not submitted. */
        DryRun: {
            /** @description Nothing was recorded. */
            dry_run: boolean;
            /** @description The job as it would be; absent where there is one already. */
            job: components["schemas"]["ForeseenJob"] | null;
            /** @description The job that the request's key has made already, if it has. */
            known_job_id: components["schemas"]["JobId"] | null;
            /**
             * @description Whether the limits of the asker and its tenant are known, and there is room: those of a user are not known before
             *     its first submit.
             */
            limits_known: boolean;
        };
        /** @description All of these; words of one list mean any of them, those of `label` all. A name with `!` rules out. */
        EventFilter: {
            /** @description Of the job: `name=value`, or `name` for whatever value. */
            label?: components["schemas"]["LabelWord"][];
            "label!"?: components["schemas"]["LabelWord"][];
            module?: components["schemas"]["ModuleName"][];
            "module!"?: components["schemas"]["ModuleName"][];
            /** @description The state that an event brings its job into, or says that it is in. */
            status?: components["schemas"]["JobState"][];
            "status!"?: components["schemas"]["JobState"][];
            /** @description `job`, `job.succeeded` or `nox.job.succeeded.v1`. */
            type?: components["schemas"]["EventTypeWord"][];
            "type!"?: components["schemas"]["EventTypeWord"][];
            user_id?: components["schemas"]["UserId"][];
            "user_id!"?: components["schemas"]["UserId"][];
        };
        /** @enum {string} */
        EventType: "nox.job.submitted.v1" | "nox.job.drafted.v1" | "nox.job.draft_submitted.v1" | "nox.job.rejected.v1" | "nox.job.canceled.v1" | "nox.job.waiting.v1" | "nox.job.assigned.v1" | "nox.job.retry_scheduled.v1" | "nox.job.stop_requested.v1" | "nox.job.attempt_lost.v1" | "nox.job.started.v1" | "nox.job.progressed.v1" | "nox.job.attempt_failed.v1" | "nox.job.stopped.v1" | "nox.job.succeeded.v1" | "nox.job.failed.v1" | "nox.quota.reserved.v1" | "nox.quota.settled.v1" | "nox.quota.released.v1" | "nox.quota.limits_set.v1" | "nox.quota.granted.v1" | "nox.quota.violated.v1" | "nox.worker.joined.v1" | "nox.worker.offered.v1" | "nox.worker.draining.v1" | "nox.worker.paused.v1" | "nox.worker.drained.v1" | "nox.worker.undrained.v1" | "nox.worker.resumed.v1" | "nox.worker.left.v1" | "nox.module.declared.v1" | "nox.module.registered.v1" | "nox.module.switched.v1" | "nox.topic.registered.v1" | "nox.topic.removed.v1" | "nox.key.created.v1" | "nox.key.revoked.v1" | "nox.schedule.set.v1" | "nox.schedule.paused.v1" | "nox.schedule.resumed.v1" | "nox.schedule.planned.v1" | "nox.schedule.occurred.v1" | "nox.schedule.triggered.v1" | "nox.schedule.deleted.v1" | "nox.webhook.set.v1" | "nox.webhook.rotated.v1" | "nox.webhook.tested.v1" | "nox.webhook.redelivered.v1" | "nox.webhook.disabled.v1" | "nox.webhook.deleted.v1";
        EventTypeWord: string;
        /** @description Events behind a place, as far as they are there. */
        Events: {
            events: components["schemas"]["CloudEvent"][];
            /**
             * @description `?after=` of the next page, which may have some even where this one has none: only where it is the place
             *     that was asked for there is nothing yet.
             */
            next: components["schemas"]["FactPlace"];
        };
        Facet: {
            /** @description Whether these are all values. */
            is_exact: boolean;
            /**
             * Format: uint64
             * @description How many jobs have further values.
             */
            others: number;
            /** @description The 50 most frequent, the first the most. */
            values: components["schemas"]["FacetValue"][];
        };
        FacetValue: {
            /** Format: uint64 */
            count: number;
            /** @description Whether these are all. */
            is_exact: boolean;
            /** @description As the word that chooses by it has it; `null` of jobs that have no such thing. */
            value: string | null;
        };
        /**
         * @description Where a fact stands in the log: `<frame>-<entry>-<fact>`, the last two counted from 0.
         *
         *     The id of what is published of it: no two facts have the same, and later ones have larger ones.
         */
        FactPlace: string;
        /** @description One thing that is wrong with a request's body or query. */
        FieldError: {
            /** Format: uint */
            column?: number;
            detail: string;
            /** Format: uint */
            line?: number;
            /** @description A JSON pointer into the body, or the name of a query parameter after `?`. */
            pointer: string;
        };
        /** @description A misspelt word would silently send everything, so unknown ones are refused. */
        Filter: components["schemas"]["EventFilter"];
        /** @description A job as it would be. */
        ForeseenJob: {
            /** @description The jobs that it would wait for. */
            after: components["schemas"]["JobId"][];
            /**
             * Format: int64
             * @description Core seconds of the day's budget that it would reserve; 0 of a draft.
             */
            cpu_seconds: number;
            module: components["schemas"]["ModuleName"];
            module_version: string | null;
            /** Format: uint8 */
            priority: number;
            requested_resources: components["schemas"]["Resources"];
            state: components["schemas"]["JobState"];
        };
        /**
         * Format: uint64
         * @description A message's place in the log of facts: gapless, from 1.
         */
        FrameNumber: number;
        /** @description How the gateway is. */
        Health: {
            jobs: components["schemas"]["JobsHealth"];
            status: string;
        };
        /** @description A worker that was heard of. */
        Heard: {
            /** Format: uuid */
            id: string;
            /** @description For people: what counts is the scheduler's clock. */
            last_heartbeat: components["schemas"]["Timestamp"];
        };
        /** @description Which system this is. */
        Info: {
            color: string | null;
            features: components["schemas"]["InfoFeatures"];
            limits: components["schemas"]["InfoLimits"];
            /** @description What its operator calls it, and in which colour (`#` and six hex digits). */
            name: string | null;
            version: string;
        };
        /** @description What may be there or not. Modules can be registered, and who did what be asked, on every system. */
        InfoFeatures: {
            /** @description The log is told of for good, and not as far as its stream goes. */
            archive: boolean;
            /** @description Somebody may run raw commands. */
            commands: boolean;
            /** @description Requests of one user are limited. */
            rate_limits: boolean;
            /** @description Events are sent to endpoints. */
            webhooks: boolean;
        };
        InfoLimits: {
            /** Format: uint */
            inputs_bytes_max: number;
            /** Format: uint64 */
            upload_bytes_max: number;
            /** Format: uint64 */
            upload_quota_bytes: number;
        };
        /**
         * @description The members of the first users' example, and beside them what is canonical.
         *
         *     `status` is in the words of the job's kind; for jobs of a module these are the canonical ones,
         *     which `state` always has.
         */
        Job: {
            attempt: components["schemas"]["Attempt"];
            /** @description How many of its key run at a time. */
            concurrency?: components["schemas"]["Concurrency"] | null;
            /** @description When and by whom once more, under the names that clients of commands look for. */
            createdAt?: components["schemas"]["Timestamp"] | null;
            createdBy?: components["schemas"]["UserId"] | null;
            created_at: components["schemas"]["Timestamp"];
            /** @description When a job that waits for an instant may run. */
            due_at: components["schemas"]["Timestamp"] | null;
            ended_at: components["schemas"]["Timestamp"] | null;
            /** @description As what it was asked for, where that was an engine. */
            engine?: components["schemas"]["ModuleName"] | null;
            error: components["schemas"]["JobError"] | null;
            id: components["schemas"]["JobId"];
            /** @description `null`, and `parked` says why, where they cannot be stored. Brief lists leave both out. */
            inputs?: components["schemas"]["Json"] | null;
            job_id: components["schemas"]["JobId"];
            job_name?: components["schemas"]["TopicName"];
            kind?: string | null;
            labels?: {
                [key: string]: string;
            };
            module: components["schemas"]["ModuleName"];
            module_version: string | null;
            /** @description The newest frame with an entry of the job that this view shows. */
            n: components["schemas"]["FrameNumber"];
            outputs?: components["schemas"]["Json"] | null;
            /** @description Why the view does not tell all, where it does not. */
            parked?: string | null;
            /** Format: uint8 */
            priority: number;
            /** @description How far the newest attempt is, by its worker's word. */
            progress?: components["schemas"]["Progress"] | null;
            release_id?: string | null;
            requested_resources: components["schemas"]["Resources"];
            reserved_resources: components["schemas"]["Resources"] | null;
            /** @description The job that it repeats. */
            retry_of?: components["schemas"]["JobId"] | null;
            room_id?: string;
            started_at: components["schemas"]["Timestamp"] | null;
            state: components["schemas"]["JobState"];
            status: string;
            user_id: components["schemas"]["UserId"];
            waiting: components["schemas"]["Waiting"] | null;
            worker_id: components["schemas"]["WorkerId"] | null;
            worker_labels?: string[];
        };
        /** @description A job: exactly one of `module`, `engine` and `command`. */
        JobBody: {
            /** @description Jobs that must succeed first. */
            after?: components["schemas"]["JobId"][];
            /** @description A line of shell, run in isolation. */
            command?: string;
            concurrency?: components["schemas"]["ConcurrencyBody"];
            /** @description Keep it, and do not run it before `POST /jobs/{id}/submit`. */
            draft?: boolean;
            /** @description `xtb`, `orca` or `gaussian`, whose `inputs` are a molecule and `params`. */
            engine?: string;
            /** @description As the module's input schema has it. */
            inputs?: unknown;
            /** @description What the engine is to compute. */
            kind?: string;
            labels?: components["schemas"]["Labels"];
            module?: components["schemas"]["ModuleName"];
            /** @description The present one, if left out. */
            module_version?: string;
            /**
             * Format: uint8
             * @description 0 (last) to 9 (first).
             */
            priority?: number;
            /** @description What it is made for, in your words; jobs are found by it. */
            release_id?: string;
            requested_resources?: components["schemas"]["ResourcesBody"];
            /** @description Not before this instant. */
            run_at?: components["schemas"]["Timestamp"];
            /** @description Labels that the worker must have. */
            worker_labels?: string[];
        } & (unknown | unknown | unknown);
        /** @description How many jobs there are. */
        JobCounts: {
            /** @description By what was asked for, each among the jobs that all words but its own choose. */
            by: {
                [key: string]: components["schemas"]["Facet"];
            };
            /**
             * Format: uint64
             * @description Of those that all words choose.
             */
            count: number;
            /** @description Whether these are all: only so many are looked at. */
            is_exact: boolean;
        };
        /** @description What went wrong in an attempt or made a job fail. */
        JobError: {
            /**
             * @description Stable and machine-readable: `exit_status`, `wall_time`, `spawn`, `output_missing`,
             *     `output_invalid`, `killed`, `crashed`, `dependency`, `rejected:<problem code>`, …
             */
            code: string;
            /** Format: int32 */
            exit_status?: number | null;
            /** @description For people. */
            message: string;
        };
        /** @description A page. Not by way of a `Value`, which would write the entries anew. */
        JobEvents: {
            events: components["schemas"]["Json"][];
            job_id: components["schemas"]["JobId"];
            next: components["schemas"]["FrameNumber"] | null;
        };
        /**
         * Format: uuid
         * @description A job. UUIDv8 of (tenant, user, key) with an `Idempotency-Key`, else UUIDv7.
         */
        JobId: string;
        /** @description A job, or something else. */
        JobOrNot: components["schemas"]["JobBody"] | unknown;
        /** @description Where a job is. Each surface of the API has its own words for these; facts and rows have these. */
        JobState: ("succeeded" | "failed" | "canceled") | "draft" | "queued" | "running";
        /** @description What became of jobs within a span. */
        JobStats: {
            /** Format: uint64 */
            canceled: number;
            /** Format: uint64 */
            failed: number;
            from: components["schemas"]["Timestamp"];
            /** @description Whether these are all: only so many jobs are looked at. */
            is_exact: boolean;
            /**
             * Format: double
             * @description How long a part is, in seconds.
             */
            part_s: number;
            parts: components["schemas"]["StatsPart"][];
            /** @description Of the same, the seconds from there to their end. */
            run_s: components["schemas"]["Quantiles"];
            /** Format: uint64 */
            submitted: number;
            /** Format: uint64 */
            succeeded: number;
            to: components["schemas"]["Timestamp"];
            /** @description Of jobs that succeeded or failed in it, the seconds from their creation to the start of their newest attempt. */
            wait_s: components["schemas"]["Quantiles"];
        };
        /** @description What a schedule submits. */
        JobTemplate: {
            /** @description How many of its key run at a time. */
            concurrency?: components["schemas"]["Concurrency"] | null;
            inputs: components["schemas"]["Json"];
            /** @description As [`Metadata`] has them. */
            labels?: {
                [key: string]: string;
            };
            module: components["schemas"]["ModuleName"];
            /** @description The present one if absent. */
            module_version?: string | null;
            /** Format: uint8 */
            priority: number;
            release_id?: string | null;
            requested_resources: components["schemas"]["Resources"];
            worker_labels?: string[];
        };
        /** @description A page. Not by way of a `Value`, which would make doubles of the numbers in inputs and outputs. */
        Jobs: {
            jobs: components["schemas"]["Job"][];
            next: string | null;
        };
        JobsHealth: {
            /**
             * Format: uint64
             * @description The newest frame that rows were seen of.
             */
            n: number;
            status: string;
            /**
             * Format: int64
             * @description Frames that the rows are behind the log.
             */
            view_lag_frames: number;
            /**
             * Format: double
             * @description For how many seconds the first of them has been decided; 0 where there is none.
             */
            view_lag_s: number;
        };
        Json: unknown;
        KeyCreated: {
            /** @description Null while nobody has decided. */
            created_at: components["schemas"]["Timestamp"] | null;
            created_by: components["schemas"]["UserId"];
            expires_at: components["schemas"]["Timestamp"] | null;
            id: components["schemas"]["KeyId"];
            name: string;
            /** @description Nobody has decided yet. */
            pending?: boolean;
            role: string;
            /** @description Everything that the role may, if there are none. */
            scopes: string[];
            /** @description What a client sends as its bearer token. It is told this once. */
            secret: string;
            /** @description Whom it acts as. */
            user_id: components["schemas"]["UserId"];
        };
        /**
         * Format: uuid
         * @description An API key; not its secret.
         */
        KeyId: string;
        KeyView: {
            /** @description Null while nobody has decided. */
            created_at: components["schemas"]["Timestamp"] | null;
            created_by: components["schemas"]["UserId"];
            expires_at: components["schemas"]["Timestamp"] | null;
            id: components["schemas"]["KeyId"];
            name: string;
            role: string;
            /** @description Everything that the role may, if there are none. */
            scopes: string[];
            /** @description Whom it acts as. */
            user_id: components["schemas"]["UserId"];
        };
        /** @description No control characters. */
        LabelValue: string;
        LabelWord: string;
        /** @description What jobs are found by: at most 16 texts of at most 256 bytes. */
        Labels: {
            [key: string]: components["schemas"]["LabelValue"];
        };
        LargestWorker: {
            /** Format: uint32 */
            cpu: number;
            /** Format: uint32 */
            gpu: number;
            /** Format: uint32 */
            mem_mb: number;
        };
        Ledger: {
            ledger: components["schemas"]["LedgerLine"][];
            /** @description The cursor of the next page; null on the last. */
            next: string | null;
        };
        /** @description What one job reserved and used, in core seconds of its period. */
        LedgerLine: {
            job_id: components["schemas"]["JobId"];
            n: components["schemas"]["FrameNumber"];
            /**
             * Format: int64
             * @description Used beyond the reservation.
             */
            overrun: number;
            period: components["schemas"]["Timestamp"];
            /** Format: int64 */
            released: number;
            /**
             * Format: int64
             * @description `reserved`, `used` and `released` together.
             */
            reservation: number;
            /** Format: int64 */
            reserved: number;
            /** Format: int64 */
            used: number;
        };
        /**
         * @description What a tenant or a user may have. All integers; a missing limit would be a hole, so none is
         *     optional.
         */
        Limits: {
            /**
             * Format: uint32
             * @description Cores in the largest request of one job.
             */
            cpu: number;
            /**
             * Format: int64
             * @description The budget of a UTC day, in core seconds.
             */
            cpu_seconds: number;
            /**
             * Format: uint32
             * @description Jobs that are kept as drafts.
             */
            drafts: number;
            /**
             * Format: uint32
             * @description MiB in the largest request of one job.
             */
            mem_mb: number;
            /**
             * Format: uint32
             * @description Jobs that are admitted and not ended.
             */
            queued_jobs: number;
            /**
             * Format: uint32
             * @description Attempts at a time.
             */
            running_jobs: number;
            /**
             * Format: uint32
             * @description Attempts that are handed out in a minute, spread evenly; [`UNLIMITED`] where nothing holds them up.
             */
            starts_per_minute: number;
        };
        /** @description An admin's word on the limits of an account. */
        LimitsChange: {
            by: components["schemas"]["UserId"];
            /** @description In the admin's words, at most [`LIMITS_REASON_BYTES_MAX`]. */
            reason: string;
            /** @description They are those of the account's role again, and follow it from now on. */
            reset?: boolean;
        };
        /** @description As [`Limits`], of which the log passes over members that it does not know. */
        LimitsToSet: {
            /**
             * Format: uint32
             * @description Cores in the largest request of one job.
             */
            cpu: number;
            /**
             * Format: int64
             * @description The budget of a UTC day, in core seconds.
             */
            cpu_seconds: number;
            /** Format: uint32 */
            drafts: number;
            /**
             * Format: uint32
             * @description MiB in the largest request of one job.
             */
            mem_mb: number;
            /** Format: uint32 */
            queued_jobs: number;
            /** Format: uint32 */
            running_jobs: number;
            /**
             * Format: uint32
             * @description Attempts that begin in a minute; 4294967295 is as many as there are.
             */
            starts_per_minute: number;
        };
        /** @description A page of what a job printed. */
        Logs: {
            chunks: components["schemas"]["Chunk"][];
            job_id: components["schemas"]["JobId"];
            /**
             * Format: uint64
             * @description `?after=` of the next page; an empty page is the end, so far.
             */
            next: number | null;
        };
        /** @description What a job gets that asks for nothing. */
        ManifestResources: {
            /** Format: uint32 */
            cpu: number;
            /**
             * Format: uint32
             * @default 0
             */
            gpu: number;
            /** Format: uint32 */
            mem_mb: number;
            /** Format: uint32 */
            wall_time_s: number;
        };
        Me: {
            /** @description When the token runs out; `null` of a key that does not. */
            expires_at: components["schemas"]["Timestamp"] | null;
            id: components["schemas"]["UserId"];
            is_admin: boolean;
            /** @description An admin of the tenant `default`, which runs the system. */
            is_operator: boolean;
            /** @description The API key that was shown. */
            key_id: components["schemas"]["KeyId"] | null;
            /** @description Whether the asker may submit raw commands. */
            may_run_commands: boolean;
            /**
             * @description The operations of `/openapi.json` that role and scope let the asker ask for, by name. Whether it may see what it
             *     asks about is judged then.
             */
            operations: string[];
            /** @description The role that the asker's limits come from. */
            role: string;
            /** @description What the token is good for: `compute:read` and `compute:write`, or one of them. */
            scopes: string[];
            tenant: components["schemas"]["TenantId"];
            user_id: components["schemas"]["UserId"];
        };
        /**
         * @description A module as everybody sees it. Not by way of a `Value`, which would make doubles of the numbers in
         *     its schemas.
         */
        Module: {
            caps: components["schemas"]["ModuleCaps"];
            enabled: boolean;
            n: components["schemas"]["FrameNumber"];
            name: components["schemas"]["ModuleName"];
            /** @description Who registered the present version, and when; null of one that workers have by themselves. */
            registered: components["schemas"]["ModuleRegistration"] | null;
            schema: components["schemas"]["ModuleSchemas"];
            title: string;
            version: string;
            /** @description All that jobs may name, the present one first. */
            versions: string[];
        };
        ModuleCaps: {
            resources: components["schemas"]["Resources"];
            retry: components["schemas"]["RetryPolicy"];
            /** Format: uint32 */
            running_max: number | null;
            /** Format: uint32 */
            starts_per_minute: number | null;
        };
        /**
         * @description A manifest: the members of `module.toml` as JSON, with all that would lie beside it in it. Those that are not named
         *     here are as modules/README.md has them.
         */
        ModuleManifest: {
            /** @description JSON Schema (2020-12). */
            input_schema: {
                [key: string]: unknown;
            };
            name: components["schemas"]["ModuleName"];
            /**
             * @description Whether it may use the machine's network, where executors let registered modules.
             * @default false
             */
            network: boolean;
            resources: components["schemas"]["ManifestResources"];
            run: {
                [key: string]: unknown;
            };
            sandbox: components["schemas"]["SandboxLevel"];
            /** @default  */
            title: string;
            version: string;
        };
        /** @description A module's name, for example `xtb`. */
        ModuleName: string;
        /** @description What became of a registration. */
        ModuleRegistered: {
            n?: components["schemas"]["FrameNumber"] | null;
            name: components["schemas"]["ModuleName"];
            /** @description Nobody has decided yet. */
            pending?: boolean;
            version: string;
        };
        /** @description Who registered a version, and when. */
        ModuleRegistration: {
            at: components["schemas"]["Timestamp"];
            by: components["schemas"]["UserId"];
        };
        ModuleSchemas: {
            inputs: components["schemas"]["Json"];
            outputs: components["schemas"]["Json"];
        };
        ModuleVersion: {
            /** @description JSON Schema. */
            inputs: components["schemas"]["Json"];
            outputs: components["schemas"]["Json"];
            /** @description What jobs get that name none. */
            present: boolean;
            /** @description Who registered it, and when; null of one that workers have by themselves. */
            registered: components["schemas"]["ModuleRegistration"] | null;
            resources: components["schemas"]["Resources"];
            retry: components["schemas"]["RetryPolicy"];
            /** Format: uint32 */
            running_max: number | null;
            title: string;
            version: string;
        };
        ModuleVersions: {
            name: components["schemas"]["ModuleName"];
            versions: components["schemas"]["ModuleVersion"][];
        };
        Modules: {
            modules: components["schemas"]["Module"][];
        };
        /** @description A job that has not ended, or had not. */
        OpenJob: {
            attempt: components["schemas"]["Attempt"];
            created_at: components["schemas"]["Timestamp"];
            due_at: components["schemas"]["Timestamp"] | null;
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            module: components["schemas"]["ModuleName"];
            module_version: string;
            /** Format: uint8 */
            priority: number;
            started_at: components["schemas"]["Timestamp"] | null;
            state: components["schemas"]["JobState"];
            user_id: components["schemas"]["UserId"];
            /** @description Why it does not run, while it is queued. */
            waiting_code: components["schemas"]["WaitingCode"] | null;
            worker_id: components["schemas"]["WorkerId"] | null;
        };
        /** @description Something that was printed, or how it ended. */
        OutputRow: {
            /** @description All bytes, where `output` has something in place of what is no UTF-8. */
            base64?: string | null;
            createdAt: components["schemas"]["Timestamp"];
            /**
             * Format: uint64
             * @description Grows from row to row.
             */
            id: number;
            jobId: components["schemas"]["JobId"];
            output: string;
            /** @description `null` of the last row, which nobody printed. */
            stream: string | null;
            updatedAt: components["schemas"]["Timestamp"];
        };
        /** @description What becomes of an occurrence while the job of an earlier one has not ended. */
        Overlap: "skip" | "allow" | "queue";
        /** @description Why a schedule submits nothing. */
        PauseReason: "asked" | "key_revoked" | "key_expired";
        /** @description A problem as it is answered (RFC 9457). */
        Problem: {
            account?: string | null;
            code: components["schemas"]["ProblemCode"];
            /** Format: int64 */
            current_usage?: number | null;
            detail: string;
            /** @description `title` and `detail` once more, as clients of older systems look for them. */
            error: string;
            /** @description What is wrong with a body or a query, each by its place. */
            errors?: components["schemas"]["FieldError"][];
            /** Format: int64 */
            limit?: number | null;
            message: string;
            /**
             * Format: double
             * @description How much of the limit is used.
             */
            percentage?: number | null;
            quota_type?: string | null;
            /** @description Finds the request in the log. */
            request_id?: string | null;
            /** Format: int64 */
            requested?: number | null;
            /**
             * Format: uint32
             * @description Seconds after which to try again.
             */
            retry_after?: number | null;
            /** Format: uint16 */
            status: number;
            title: string;
            /** @description A page that says what to do. */
            type: string;
        };
        /** @description Why a request was refused. The same word in answers, facts, rows and problem documents. */
        ProblemCode: ("malformed_json" | "invalid_request" | "invalid_inputs" | "unstorable_json" | "invalid_id" | "head_too_large" | "body_too_large" | "body_timeout" | "unsupported_media_type" | "method_not_allowed" | "route_not_found" | "unauthenticated" | "token_expired" | "forbidden" | "unknown_module" | "disabled_module" | "job_not_found" | "schedule_not_found" | "webhook_not_found" | "already_ended" | "invalid_category" | "invalid_room_id" | "idempotency_conflict" | "overloaded" | "lagging" | "unavailable" | "internal") | "invalid_command" | "ambiguous_head" | "range_not_satisfiable" | "place_gone" | "module_not_found" | "invalid_manifest" | "version_conflict" | "artifact_not_found" | "task_not_found" | "worker_not_found" | "account_not_found" | "key_not_found" | "delivery_not_found" | "webhook_disabled" | "too_many" | "at_most_exceeded" | "not_ended" | "parked" | "invalid_task_transition" | "schema_conflict" | "stale_stamp" | "budget_exhausted" | "queue_full" | "request_too_large" | "unsatisfiable" | "upload_quota" | "rate_limited" | "refused" | "storage_full";
        /** @description How far an attempt is, by its worker's word. */
        Progress: {
            /** @description For people; at most [`PROGRESS_MESSAGE_BYTES_MAX`]. */
            message?: string | null;
            /**
             * Format: uint8
             * @description 0 to 100.
             */
            percent?: number | null;
        };
        ProgressBody: {
            /** @default null */
            message: string | null;
            /**
             * Format: double
             * @default null
             */
            percent: number | null;
        };
        Quantiles: {
            /** Format: uint64 */
            count: number;
            /** Format: double */
            max: number | null;
            /** Format: double */
            p50: number | null;
            /** Format: double */
            p95: number | null;
        };
        Queue: {
            at: components["schemas"]["Timestamp"];
            jobs: components["schemas"]["OpenJob"][];
            /** @description The last frame that was taken in, and its instant: `?as_of=<n>` asks for the next page of the same. */
            n: components["schemas"]["FrameNumber"];
            /** @description The cursor of the next page; null on the last. */
            next: string | null;
            /** @description How many jobs the asker sees, by their state. None of them had ended. */
            states: {
                [key: string]: number;
            };
            /** @description How many of them waited, by what for. */
            waiting: {
                [key: string]: number;
            };
        };
        Quota: {
            /** Format: int64 */
            limit: number;
            /** @description `day`, of a budget. */
            period: string | null;
            quota_type: string;
        };
        QuotaAccount: {
            /** @description `tenant` or `user/<id>`. */
            account: string;
            /** @description What an admin changed last, if that is not overwritten by a role since. */
            change: components["schemas"]["LimitsChange"] | null;
            limits: components["schemas"]["Limits"];
            /** @description The frame that set them; of the past, the last frame that was taken in. */
            n: components["schemas"]["FrameNumber"];
            /** @description The day that `usage` is of: its first instant. */
            period: components["schemas"]["Timestamp"];
            /** @description The role that the limits come from, unless an admin set them; empty of a tenant. */
            role: string;
            /** @description Null of the past, as `change` is. */
            set_at: components["schemas"]["Timestamp"] | null;
            tenant: components["schemas"]["TenantId"];
            usage: components["schemas"]["QuotaUsage"][];
            /** @description Null of the tenant's own. */
            user_id: string | null;
        };
        QuotaAccounts: {
            accounts: components["schemas"]["QuotaAccount"][];
            /** @description The cursor of the next page; null on the last. */
            next: string | null;
        };
        QuotaEntries: {
            entries: components["schemas"]["QuotaEntry"][];
            /** @description The cursor of the next page, which may have some even where this one has none; null at the end. */
            next: components["schemas"]["FactPlace"] | null;
        };
        /** @description One movement, in core seconds of its period. */
        QuotaEntry: {
            at: components["schemas"]["Timestamp"];
            /**
             * Format: int64
             * @description Of `granted`, all that the period has from now on; of the others, what moves: from free to reserved, from
             *     reserved to used, from reserved to free.
             */
            cpu_seconds: number;
            /** @description The fact: `granted`, `reserved`, `settled` or `released`. */
            fact: string;
            /** @description The place of its fact in the log. */
            id: components["schemas"]["FactPlace"];
            job_id?: components["schemas"]["JobId"] | null;
            /**
             * Format: int64
             * @description What a job used beyond its reservation, which no budget paid.
             */
            overrun?: number | null;
            /** @description The first instant of the period. */
            period: components["schemas"]["Timestamp"];
        };
        /** @description What is used of a limit. */
        QuotaUsage: {
            /**
             * Format: int64
             * @description Of core seconds, `reserved` and `used` together.
             */
            current_usage: number;
            /** Format: int64 */
            free?: number;
            /** Format: int64 */
            limit: number;
            /**
             * Format: int64
             * @description What was used beyond reservations, which no budget paid.
             */
            overrun?: number;
            /** Format: double */
            percentage: number | null;
            /** @description `cpu_seconds` of the period, `queued_jobs` or `running_jobs`. */
            quota_type: string;
            /** Format: int64 */
            reserved?: number;
            /** Format: int64 */
            used?: number;
        };
        Quotas: {
            quotas: components["schemas"]["Quota"][];
            tenant: components["schemas"]["TenantId"];
            user_id: components["schemas"]["UserId"];
        };
        /** @description What became of a change. */
        QuotasChanged: {
            account: string;
            n?: components["schemas"]["FrameNumber"] | null;
            /** @description Nobody has decided yet. */
            pending?: boolean;
        };
        /** @description After a failure of one kind, the next attempt is given `factor` times as much of a resource. */
        Raise: {
            /** @description The code of the failure: `oom`, `wall_time`, … */
            after: string;
            /**
             * Format: uint32
             * @description At least 2.
             */
            factor: number;
            /**
             * Format: uint32
             * @description Never more than this, nor than the owner's largest request, budget, and largest worker allow. In the
             *     resource's unit.
             */
            max: number;
            resource: components["schemas"]["RaisedResource"];
        };
        /** @enum {string} */
        RaisedResource: "mem_mb" | "wall_time_s";
        /** @description The answer to a job that was taken in. */
        Receipt: {
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            /** @description What clients of engines look for. */
            message?: string | null;
            n?: components["schemas"]["FrameNumber"] | null;
            pending?: boolean;
            /**
             * Format: uint8
             * @description How far it is, from 0 to 1.
             */
            progress?: number | null;
            state: components["schemas"]["JobState"];
            /** @description What the job begins as, also while nobody has decided; in the words of its kind. */
            status: string;
        };
        RegisterBody: {
            category: string;
            name: string;
            /** @default {} */
            schema: components["schemas"]["Json"];
            /** @default null */
            worker_id: string | null;
        };
        /** @description A registered job. */
        RegisteredJob: {
            category: string;
            full_name: string;
            /** Format: uuid */
            id: string;
            name: string;
            room_id: string;
            /** @description Not in lists: it may be large. */
            schema?: components["schemas"]["Json"] | null;
            /**
             * Format: uuid
             * @description The worker that registered it by this request.
             */
            worker_id?: string | null;
            /** @description The workers that claim tasks of it now. */
            workers: string[];
        };
        RegisteredJobPage: {
            items: components["schemas"]["RegisteredJob"][];
            /** Format: uint32 */
            limit: number;
            /** Format: uint32 */
            offset: number;
            /**
             * Format: uint
             * @description Of a great many, as far as they were counted.
             */
            total: number;
        };
        RelatedJob: {
            job_id: components["schemas"]["JobId"];
            state: components["schemas"]["JobState"];
            user_id: components["schemas"]["UserId"];
        };
        /** @description What a job has to do with. At most 100 jobs of each kind. */
        RelatedJobs: {
            /** @description Others of its batch that was submitted all or none. */
            batch: components["schemas"]["RelatedJob"][];
            /** @description Those in its `after`. */
            follows: components["schemas"]["RelatedJob"][];
            /**
             * Format: uint
             * @description How many of the jobs that are named the asker may not see, or are gone, or are too many.
             */
            hidden: number;
            job_id: components["schemas"]["JobId"];
            /** @description Whether the log still has what it says of `follows`, `schedule_id` and `batch`: else they are empty. */
            log_known: boolean;
            /** @description Those that repeat it, the first first; and whether these are all. */
            retries: components["schemas"]["RelatedJob"][];
            retries_complete: boolean;
            /** @description The job that it repeats. */
            retry_of: components["schemas"]["RelatedJob"] | null;
            /** @description The schedule that submitted it. */
            schedule_id: components["schemas"]["ScheduleId"] | null;
        };
        ReleaseAnalysis: {
            job_id: components["schemas"]["JobId"];
            mediainfo: components["schemas"]["Json"];
            metadata: components["schemas"]["Json"];
            structure: components["schemas"]["Json"];
        };
        ReleaseCancelReceipt: {
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            message: string;
            state: components["schemas"]["JobState"];
            status: string;
        };
        /** @description A job. `status` is in this surface's words, `state` in the canonical ones. */
        ReleaseJob: {
            config_json: components["schemas"]["Json"] | null;
            created_at: components["schemas"]["Timestamp"];
            created_by: components["schemas"]["UserId"];
            ended_at: components["schemas"]["Timestamp"] | null;
            /** @description Why it failed. */
            error: string | null;
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            job_type: components["schemas"]["ModuleName"];
            /** @description What it printed, as `GET …/logs` tells it; of one job alone. */
            logs?: string | null;
            /**
             * Format: uint8
             * @description How far it is, in per cent.
             */
            progress: number;
            release_id: string | null;
            /** @description What came of it. */
            result: components["schemas"]["Json"] | null;
            started_at: components["schemas"]["Timestamp"] | null;
            state: components["schemas"]["JobState"];
            status: string;
        };
        ReleaseJobBody: {
            /**
             * @description Its inputs.
             * @default null
             */
            config_json: components["schemas"]["Json"] | null;
            /** @description The module that does it. */
            job_type: components["schemas"]["ModuleName"];
            /** @default null */
            release_id: string | null;
        };
        ReleaseJobLogs: {
            job_id: components["schemas"]["JobId"];
            logs: string;
            /**
             * Format: uint64
             * @description What to ask for next, as `since`.
             */
            next: number;
        };
        ReleaseJobStatus: {
            created_at: components["schemas"]["Timestamp"];
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            /**
             * Format: uint8
             * @description In per cent.
             */
            progress: number;
            state: components["schemas"]["JobState"];
            status: string;
        };
        ReleaseJobs: {
            jobs: components["schemas"]["ReleaseJob"][];
            /** Format: uint */
            page: number;
            /** Format: uint */
            pages: number;
            /** Format: uint */
            per_page: number;
            /**
             * Format: uint
             * @description Counted up to 10,000.
             */
            total: number;
        };
        /** @description The answer to a job that was taken in. */
        ReleaseReceipt: {
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            release_id: string | null;
            state: components["schemas"]["JobState"];
            status: string;
        };
        /** @description What one job asks for, and is given while it runs. */
        Resources: {
            /**
             * Format: uint32
             * @description Cores.
             */
            cpu: number;
            /**
             * Format: uint32
             * @description Devices.
             */
            gpu?: number;
            /**
             * Format: uint32
             * @description Memory in MiB.
             */
            mem_mb: number;
            /**
             * Format: uint32
             * @description Longest run of one attempt, in seconds; the executor ends it then.
             */
            wall_time_s: number;
        };
        /** @description What is left out is the module's. */
        ResourcesBody: {
            /** Format: uint32 */
            cpu?: number;
            /** Format: uint32 */
            gpu?: number;
            /** Format: uint32 */
            mem_mb?: number;
            /** Format: uint32 */
            wall_time_s?: number;
        };
        /** @description What became of one job. */
        Retried: {
            /** @description The new one. */
            job_id?: components["schemas"]["JobId"] | null;
            n?: components["schemas"]["FrameNumber"] | null;
            pending?: boolean;
            /** @description Why there is none. */
            problem?: components["schemas"]["Problem"] | null;
            /** @description The job that was to be repeated. */
            retry_of: components["schemas"]["JobId"];
        };
        /** @description What was done, or would be. */
        RetriedJobs: {
            /** @description Whether these are all. A preview counts up to 10,000. */
            complete: boolean;
            /**
             * Format: uint
             * @description How many jobs were acted on, or would be.
             */
            count: number;
            jobs: components["schemas"]["Retried"][];
            /** @description Where to go on, as `cursor`. */
            next: string | null;
            /** @description Nothing was done. */
            preview: boolean;
        };
        /** @description What is another one of the new job; the rest is as the old one was. */
        RetryBody: {
            /** @description In place of all inputs. */
            inputs?: unknown;
            /** @description In place of all labels. */
            labels?: components["schemas"]["Labels"];
            /** @description Those that are named. */
            requested_resources?: components["schemas"]["ResourcesBody"];
        };
        /** @description When a failed attempt is followed by another, and what that is given. */
        RetryPolicy: {
            /**
             * Format: uint32
             * @description Attempts that may fail by themselves before the job does; lost ones are not counted.
             */
            attempts_max: number;
            /**
             * Format: uint64
             * @description Wait before the second attempt, in milliseconds; doubled for each further one.
             */
            backoff_ms: number;
            /**
             * Format: uint64
             * @description Longest wait, in milliseconds.
             */
            backoff_ms_max: number;
            /**
             * @description Codes of the failures that another attempt follows; where none is named, those of which the
             *     worker says that another attempt may go better.
             */
            on?: string[];
            /** @description What the next attempt is given more of: without it a failure of this kind would come again. */
            raise?: components["schemas"]["Raise"][];
        };
        RotateWebhook: {
            /**
             * Format: uint32
             * @description For so many seconds the secret of before signs as well, at most a week; a day, if absent.
             */
            overlap_s?: number | null;
        };
        /** @description The rules that the release is packed by, by their number or name. */
        Rule: number | string;
        RunningJob: {
            job_id: components["schemas"]["JobId"];
            module: components["schemas"]["ModuleName"];
            started_at: components["schemas"]["Timestamp"] | null;
            user_id: components["schemas"]["UserId"];
        };
        /** @enum {string} */
        SandboxLevel: "none" | "process" | "isolated";
        Schedule: {
            /** Format: uint32 */
            catch_up_s: number;
            created_at: components["schemas"]["Timestamp"];
            cron: string;
            id: components["schemas"]["ScheduleId"];
            job: components["schemas"]["JobTemplate"];
            /** @description The API key that it is bound to: it is paused when that is revoked or has run out. */
            key_id: components["schemas"]["KeyId"] | null;
            /** @description The newest occurrence. */
            last: components["schemas"]["ScheduleOccurrence"] | null;
            last_job_id: components["schemas"]["JobId"] | null;
            n: components["schemas"]["FrameNumber"];
            name: string;
            /** @description When it is due next, as it was decided; null while it is paused, and of one that is never due again. */
            next_due_at: components["schemas"]["Timestamp"] | null;
            /** @description When it is due next and after that, by the rules of its zone as they are known now. */
            next_times: components["schemas"]["Timestamp"][];
            overlap: components["schemas"]["Overlap"];
            /** @description Why it is paused: `asked`, `key_revoked` or `key_expired`. */
            pause_reason: components["schemas"]["PauseReason"] | null;
            paused: boolean;
            time_zone: string;
            user_id: components["schemas"]["UserId"];
        };
        /** @description What became of a change. */
        ScheduleChanged: {
            id: components["schemas"]["ScheduleId"];
            n?: components["schemas"]["FrameNumber"] | null;
            /**
             * @description When it is due next; null while it is paused, of one that is never due again or no more, and while nobody
             *     has decided.
             */
            next_due_at: components["schemas"]["Timestamp"] | null;
            /** @description Nobody has decided yet. */
            pending?: boolean;
        };
        /**
         * Format: uuid
         * @description A schedule.
         */
        ScheduleId: string;
        ScheduleOccurrence: {
            /** @description When it was decided. */
            at: components["schemas"]["Timestamp"];
            /** @description Why it was refused. */
            code: components["schemas"]["ProblemCode"] | null;
            detail: string | null;
            due_at: components["schemas"]["Timestamp"];
            /** @description `submitted`, `refused`, `skipped`, `queued` or `missed`. */
            outcome: string;
        };
        ScheduleTriggered: {
            job_id: components["schemas"]["JobId"];
            n?: components["schemas"]["FrameNumber"] | null;
            /** @description Nobody has decided yet. */
            pending?: boolean;
            schedule_id: components["schemas"]["ScheduleId"];
        };
        Schedules: {
            /** @description The cursor of the next page; null on the last. */
            next: components["schemas"]["ScheduleId"] | null;
            schedules: components["schemas"]["Schedule"][];
        };
        ServedModule: {
            name: components["schemas"]["ModuleName"];
            version: string;
        };
        /** @description Limits, all of them, and why. */
        SetQuotas: {
            limits: components["schemas"]["LimitsToSet"];
            /** @description At most 1,024 bytes; kept in the log. */
            reason: string;
        };
        SetSchedule: {
            /**
             * Format: uint32
             * @description How late an occurrence may still be submitted after a downtime, in seconds, at most a week; of several
             *     the last one is.
             * @default 3600
             */
            catch_up_s: number;
            /** @description Five fields (names, ranges, lists, steps), or a word such as `@daily`. */
            cron: string;
            /** @description As the body of `POST /jobs`, without `run_at` and `after`, and no draft. */
            job: {
                [key: string]: unknown;
            };
            /** @description For people; 1 to 128 bytes. */
            name: string;
            /**
             * @description What becomes of an occurrence while a job of the schedule has not ended.
             * @default skip
             */
            overlap: components["schemas"]["Overlap"];
            /**
             * @description As IANA names it; `UTC` if absent.
             * @default UTC
             */
            time_zone: string;
        };
        SetWebhook: {
            /**
             * @description For people; at most 256 bytes.
             * @default
             */
            description: string;
            /**
             * @description Whether anything is sent.
             * @default true
             */
            enabled: boolean;
            /** @description Which events, by the words of `GET /events`; all that its owner may see there, if absent. */
            filter?: components["schemas"]["Filter"];
            /**
             * @description Those of all of the tenant, as an admin sees them; for admins.
             * @default false
             */
            of_tenant: boolean;
            /** @description Where events are sent: `https://`, without a user, a password and a fragment; at most 2,048 bytes. */
            url: string;
        };
        StatsPart: {
            /** Format: uint64 */
            canceled: number;
            /** Format: uint64 */
            failed: number;
            /** @description Its first instant. */
            from: components["schemas"]["Timestamp"];
            /** Format: uint64 */
            submitted: number;
            /** Format: uint64 */
            succeeded: number;
        };
        /** @description Where a job stood for a while. */
        Stood: {
            attempt: components["schemas"]["Attempt"];
            code: components["schemas"]["WaitingCode"] | null;
            from: components["schemas"]["Timestamp"];
            /** @description The frame that says so. */
            n: components["schemas"]["FrameNumber"];
            /**
             * Format: double
             * @description Up to now, or to the instant that was asked for, of one that lasts; none of what a job ended as.
             */
            seconds: number | null;
            state: components["schemas"]["JobState"];
            /** @description `null` of the last. */
            to: components["schemas"]["Timestamp"] | null;
        };
        /** @description What became of a switch. */
        Switched: {
            enabled?: boolean | null;
            n?: components["schemas"]["FrameNumber"] | null;
            name: components["schemas"]["ModuleName"];
            /** @description Nobody has decided yet. */
            pending?: boolean;
        };
        /** @description How the system is, some seconds old at most. What cannot be told is `null`, and `troubles` say why. */
        System: {
            /** @description The log's segments; `null` as well where this gateway has no archive. */
            archive: components["schemas"]["SystemArchive"] | null;
            at: components["schemas"]["Timestamp"];
            projection: components["schemas"]["SystemProjection"];
            /** @description Those that said within a week how far they had come. `projector`, `notifier` (the feed), `webhooks`, `audit`. */
            readers: components["schemas"]["SystemReader"][] | null;
            streams: components["schemas"]["SystemStream"][];
            troubles: components["schemas"]["SystemTrouble"][];
            version: string;
        };
        SystemArchive: {
            /**
             * Format: uint64
             * @description As they are kept.
             */
            bytes: number;
            newest: components["schemas"]["SystemSegment"] | null;
            /** @description `null` of none. */
            oldest: components["schemas"]["SystemSegment"] | null;
            /** Format: uint */
            segments: number;
        };
        /** @description How far the rows are. */
        SystemProjection: {
            /**
             * Format: int64
             * @description As `/health` says it.
             */
            lag_frames: number;
            /** Format: double */
            lag_s: number;
            n: components["schemas"]["FrameNumber"] | null;
        };
        SystemReader: {
            /**
             * Format: uint64
             * @description Frames that it was behind the log when it said so last, which is up to five seconds ago.
             */
            lag_frames: number | null;
            /** @description `null` where it reads another life of the log. */
            n: components["schemas"]["FrameNumber"] | null;
            name: string;
        };
        SystemSegment: {
            /** Format: uint64 */
            bytes: number;
            n_first: components["schemas"]["FrameNumber"];
            n_last: components["schemas"]["FrameNumber"];
        };
        SystemStream: {
            /** Format: uint64 */
            bytes?: number;
            /**
             * Format: uint64
             * @description `null`: as much as the broker has.
             */
            bytes_max?: number | null;
            /** Format: uint64 */
            first_seq?: number;
            /** Format: uint64 */
            last_seq?: number;
            /** Format: uint64 */
            messages?: number;
            name: string;
        };
        SystemTrouble: {
            detail: string;
            part: string;
        };
        /** @description A task. `status` is in this surface's words, `state` in the canonical ones. */
        Task: {
            /** Format: uint32 */
            attempt: number;
            completed_at: components["schemas"]["Timestamp"] | null;
            created_at: components["schemas"]["Timestamp"];
            created_by_id: string;
            error: string | null;
            id: components["schemas"]["JobId"];
            job_name: string;
            payload: components["schemas"]["Json"] | null;
            progress: components["schemas"]["Progress"] | null;
            /**
             * Format: uint32
             * @description How many are claimed before it, while it waits.
             */
            queue_position: number | null;
            result: components["schemas"]["Json"] | null;
            room_id: string;
            started_at: components["schemas"]["Timestamp"] | null;
            state: components["schemas"]["JobState"];
            status: string;
            /** Format: uuid */
            worker_id: string | null;
        };
        TaskBody: {
            /** @default {} */
            payload: components["schemas"]["Json"];
        };
        TaskClient: {
            id: components["schemas"]["UserId"];
            is_admin: boolean;
            tenant: components["schemas"]["TenantId"];
            /**
             * Format: uuid
             * @description What the caller's own worker is called.
             */
            worker_id: string;
        };
        TaskPage: {
            items: components["schemas"]["Task"][];
            /** Format: uint32 */
            limit: number;
            /** Format: uint32 */
            offset: number;
            /**
             * Format: uint
             * @description Of a great many, as far as they were counted.
             */
            total: number;
        };
        TaskUpdateBody: {
            /**
             * Format: uint32
             * @description The attempt that is spoken of; the present one if absent.
             * @default null
             */
            attempt: number | null;
            /**
             * @description For people, of a task that failed.
             * @default null
             */
            error: string | null;
            progress?: components["schemas"]["ProgressBody"] | null;
            /**
             * @description Of a task that is completed.
             * @default null
             */
            result: components["schemas"]["Json"] | null;
            /** @enum {string|null} */
            status?: "running" | "completed" | "failed" | "cancelled" | "canceled" | null;
        };
        TaskWorker: {
            /** Format: uuid */
            id: string;
            /** Format: uint */
            job_count: number;
            jobs: string[];
            registered_at: components["schemas"]["Timestamp"];
            user_id: string;
        };
        TaskWorkerPage: {
            items: components["schemas"]["TaskWorker"][];
            /** Format: uint32 */
            limit: number;
            /** Format: uint32 */
            offset: number;
            /**
             * Format: uint
             * @description Of a great many, as far as they were counted.
             */
            total: number;
        };
        /** @description A tenant: the unit of isolation and of sharding. A slug, because it stands in subjects. */
        TenantId: string;
        /**
         * @description An instant with microsecond resolution; RFC 3339 in UTC on the wire. Never outside of
         *     [`Self::MIN`] and [`Self::MAX`], so that every instant can be written and stored.
         */
        Timestamp: string;
        /** @description What workers claim tasks of: `<room>:<category>:<name>`, of one tenant. */
        TopicName: string;
        /** @description An upload, as its owner is told of it. */
        Upload: {
            /** Format: uuid */
            id: string;
            /** @description In lower-case hexadecimal digits. */
            sha256: string;
            /**
             * Format: uint64
             * @description In bytes.
             */
            size: number;
        };
        Usage: {
            /** @description Its first instant. */
            period: components["schemas"]["Timestamp"];
            tenant: components["schemas"]["TenantId"];
            usage: components["schemas"]["QuotaUsage"][];
            user_id: components["schemas"]["UserId"];
        };
        /** @description A user: any text up to 256 bytes without control characters. It stands in payloads only. */
        UserId: string;
        Violation: {
            account: string;
            at: components["schemas"]["Timestamp"];
            code: string;
            /** Format: int64 */
            current_usage: number | null;
            job_id: components["schemas"]["JobId"];
            /** Format: int64 */
            limit: number | null;
            message: string;
            module: components["schemas"]["ModuleName"];
            n: components["schemas"]["FrameNumber"];
            /** Format: double */
            percentage: number | null;
            quota_type: string | null;
            /** Format: int64 */
            requested: number | null;
            /** Format: int64 */
            retry_after: number | null;
        };
        Violations: {
            /** @description The cursor of the next page; null on the last. */
            next: string | null;
            violations: components["schemas"]["Violation"][];
        };
        Waited: {
            code: components["schemas"]["WaitingCode"];
            /** Format: double */
            seconds: number;
        };
        /** @description Why a queued job does not run. */
        Waiting: {
            code: components["schemas"]["WaitingCode"];
            message: string;
        };
        /** @description Why a queued job does not run. A `waiting` fact is written only when the code changes. */
        WaitingCode: "priority" | "concurrency" | "quota" | "rate" | "no_worker" | "drained" | "resources" | "unsatisfiable" | "isolation" | "dependency" | "scheduled" | "backoff" | "paused" | "claim" | "dispatching";
        Webhook: {
            created_at: components["schemas"]["Timestamp"];
            description: string;
            /** @description Why Nox switched it off: `gone`, `failing`, `key_revoked` or `key_expired`. */
            disabled_reason: components["schemas"]["DisableReason"] | null;
            /** @description Whether anything is sent. */
            enabled: boolean;
            /** @description How its endpoint is; null where that was not asked for, or nobody knows. */
            endpoint: components["schemas"]["WebhookEndpoint"] | null;
            expires_at: components["schemas"]["Timestamp"] | null;
            filter: components["schemas"]["EventFilter"];
            id: components["schemas"]["WebhookId"];
            /** @description The API key that it is bound to: it is switched off when that is revoked or has run out. */
            key_id: components["schemas"]["KeyId"] | null;
            n: components["schemas"]["FrameNumber"];
            of_tenant: boolean;
            previous_secret_until: components["schemas"]["Timestamp"] | null;
            /**
             * Format: uint32
             * @description How often its secret was rotated, and until when the one before signs as well.
             */
            rotation: number;
            url: string;
            user_id: components["schemas"]["UserId"];
        };
        /** @description What became of a change. */
        WebhookChanged: {
            /** @description What the endpoint is sent as `webhook-id`. */
            delivery_id?: components["schemas"]["DeliveryId"] | null;
            id: components["schemas"]["WebhookId"];
            n?: components["schemas"]["FrameNumber"] | null;
            /** @description Nobody has decided yet. */
            pending?: boolean;
        };
        WebhookDeliveries: {
            deliveries: components["schemas"]["WebhookDelivery"][];
            /**
             * Format: int64
             * @description The cursor of the next page; null on the last.
             */
            next: number | null;
        };
        WebhookDelivery: {
            /** Format: uint32 */
            attempts: number;
            created_at: components["schemas"]["Timestamp"];
            /** @description Why the last attempt was not answered: `unreachable`, `timeout`, `tls` or `protocol`. */
            error: string | null;
            /** @description The event's place in the log. */
            event_id: string;
            /** @description What the endpoint is sent as `webhook-id`. */
            id: components["schemas"]["DeliveryId"];
            last_at: components["schemas"]["Timestamp"] | null;
            /** @description When the next attempt is due; null if there is to be none. */
            next_attempt_at: components["schemas"]["Timestamp"] | null;
            /** @description `pending`, `delivered`, `failed`, `dropped` (too many waited) or `canceled` (the webhook was switched off). */
            state: string;
            /**
             * Format: uint32
             * @description What the last attempt was answered with.
             */
            status: number | null;
            type: string;
        };
        WebhookEndpoint: {
            /**
             * Format: uint64
             * @description Deliveries that were given up because too many waited.
             */
            dropped: number;
            failing_since: components["schemas"]["Timestamp"] | null;
            /**
             * Format: uint32
             * @description Attempts that failed since the last one that was taken.
             */
            failures: number;
        };
        /**
         * Format: uuid
         * @description A webhook.
         */
        WebhookId: string;
        WebhookSecret: {
            id: components["schemas"]["WebhookId"];
            n?: components["schemas"]["FrameNumber"] | null;
            /** @description Nobody has decided yet. */
            pending?: boolean;
            /**
             * Format: uint32
             * @description How often it was rotated.
             */
            rotation: number;
            /** @description What payloads are signed with, as Standard Webhooks writes it. It is told this once. */
            secret: string;
        };
        Webhooks: {
            /** @description The cursor of the next page; null on the last. */
            next: components["schemas"]["WebhookId"] | null;
            webhooks: components["schemas"]["Webhook"][];
        };
        /** @description Why a job stands where it stands. */
        Why: {
            /** @description What is in its way, or was then; `null` where nothing is. */
            blocked_by: components["schemas"]["BlockedBy"] | null;
            /** @description Why it does not run, while it is queued. */
            code: components["schemas"]["WaitingCode"] | null;
            /** @description Where it stood, from its beginning on. */
            history: components["schemas"]["Stood"][];
            id: components["schemas"]["JobId"];
            job_id: components["schemas"]["JobId"];
            /** @description The newest frame with an entry of the job that this tells. */
            n: components["schemas"]["FrameNumber"];
            /**
             * @description Why its row does not tell all, where it does not: `unknown_fact` of a job that a newer version of Nox led on,
             *     and that stands still until that leads again.
             */
            parked?: string | null;
            /**
             * Format: double
             * @description How long its attempts ran, in seconds.
             */
            ran_s: number;
            /** @description All of it in a sentence, for people. */
            reason: string;
            /** @description Since when it stands as it does. */
            since: components["schemas"]["Timestamp"];
            state: components["schemas"]["JobState"];
            status: string;
            /** @description How long it waited for what, the longest first. */
            waited: components["schemas"]["Waited"][];
        };
        /** @description What the wizard asked. */
        WizardDraftBody: {
            group: string;
            release_type: string;
            rule_id?: components["schemas"]["Rule"] | null;
        };
        Worker: {
            capacity: components["schemas"]["Capacity"];
            /** @description It claims tasks over HTTP; else it is an executor. */
            claims: boolean;
            /** @description Null of the past. */
            drained_by: components["schemas"]["UserId"] | null;
            id: components["schemas"]["WorkerId"];
            /** @description Null of the past. */
            joined_at: components["schemas"]["Timestamp"] | null;
            labels: string[];
            /** @description When the log heard of it last, to ten seconds; null of the past. */
            last_seen_at: components["schemas"]["Timestamp"] | null;
            left_at: components["schemas"]["Timestamp"] | null;
            modules: components["schemas"]["ServedModule"][];
            /** @description The newest frame with an entry of the worker; of the past, the last frame that was taken in. */
            n: components["schemas"]["FrameNumber"];
            /** @description What it runs of jobs that the asker sees; at most 1,000 in an answer. */
            running: components["schemas"]["RunningJob"][];
            /**
             * Format: int64
             * @description How many attempts it has in all; for operators.
             */
            running_jobs?: number | null;
            /**
             * @description `joined`: takes work. `drained`: an operator took it out of service. `draining`: is about to stop.
             *     `paused`: cannot run anything for now. `left`, `lost`: is not there.
             */
            state: string;
            worker_id: components["schemas"]["WorkerId"];
        };
        /** @description A worker's name, stable over its restarts. It stands in subjects. */
        WorkerId: string;
        Workers: {
            /** @description The cursor of the next page; null on the last. */
            next: string | null;
            workers: components["schemas"]["Worker"][];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type Act = components['schemas']['Act'];
export type Acts = components['schemas']['Acts'];
export type ApiKeys = components['schemas']['ApiKeys'];
export type ArtifactOfJob = components['schemas']['ArtifactOfJob'];
export type Artifacts = components['schemas']['Artifacts'];
export type Attempt = components['schemas']['Attempt'];
export type AuditObject = components['schemas']['AuditObject'];
export type AuditOutcome = components['schemas']['AuditOutcome'];
export type BatchAnswers = components['schemas']['BatchAnswers'];
export type BatchBody = components['schemas']['BatchBody'];
export type Became = components['schemas']['Became'];
export type BlockedBy = components['schemas']['BlockedBy'];
export type BlockingJob = components['schemas']['BlockingJob'];
export type BlockingLimit = components['schemas']['BlockingLimit'];
export type CancelReceipt = components['schemas']['CancelReceipt'];
export type Canceled = components['schemas']['Canceled'];
export type CanceledJobs = components['schemas']['CanceledJobs'];
export type Capacity = components['schemas']['Capacity'];
export type Chunk = components['schemas']['Chunk'];
export type ClaimBody = components['schemas']['ClaimBody'];
export type ClaimedTask = components['schemas']['ClaimedTask'];
export type CloudEvent = components['schemas']['CloudEvent'];
export type Concurrency = components['schemas']['Concurrency'];
export type ConcurrencyBody = components['schemas']['ConcurrencyBody'];
export type CreateKey = components['schemas']['CreateKey'];
export type DeliveryId = components['schemas']['DeliveryId'];
export type DisableReason = components['schemas']['DisableReason'];
export type Drafted = components['schemas']['Drafted'];
export type Drained = components['schemas']['Drained'];
export type DryRun = components['schemas']['DryRun'];
export type EventFilter = components['schemas']['EventFilter'];
export type EventType = components['schemas']['EventType'];
export type EventTypeWord = components['schemas']['EventTypeWord'];
export type Events = components['schemas']['Events'];
export type Facet = components['schemas']['Facet'];
export type FacetValue = components['schemas']['FacetValue'];
export type FactPlace = components['schemas']['FactPlace'];
export type FieldError = components['schemas']['FieldError'];
export type Filter = components['schemas']['Filter'];
export type ForeseenJob = components['schemas']['ForeseenJob'];
export type FrameNumber = components['schemas']['FrameNumber'];
export type Health = components['schemas']['Health'];
export type Heard = components['schemas']['Heard'];
export type Info = components['schemas']['Info'];
export type InfoFeatures = components['schemas']['InfoFeatures'];
export type InfoLimits = components['schemas']['InfoLimits'];
export type Job = components['schemas']['Job'];
export type JobBody = components['schemas']['JobBody'];
export type JobCounts = components['schemas']['JobCounts'];
export type JobError = components['schemas']['JobError'];
export type JobEvents = components['schemas']['JobEvents'];
export type JobId = components['schemas']['JobId'];
export type JobOrNot = components['schemas']['JobOrNot'];
export type JobState = components['schemas']['JobState'];
export type JobStats = components['schemas']['JobStats'];
export type JobTemplate = components['schemas']['JobTemplate'];
export type Jobs = components['schemas']['Jobs'];
export type JobsHealth = components['schemas']['JobsHealth'];
export type Json = components['schemas']['Json'];
export type KeyCreated = components['schemas']['KeyCreated'];
export type KeyId = components['schemas']['KeyId'];
export type KeyView = components['schemas']['KeyView'];
export type LabelValue = components['schemas']['LabelValue'];
export type LabelWord = components['schemas']['LabelWord'];
export type Labels = components['schemas']['Labels'];
export type LargestWorker = components['schemas']['LargestWorker'];
export type Ledger = components['schemas']['Ledger'];
export type LedgerLine = components['schemas']['LedgerLine'];
export type Limits = components['schemas']['Limits'];
export type LimitsChange = components['schemas']['LimitsChange'];
export type LimitsToSet = components['schemas']['LimitsToSet'];
export type Logs = components['schemas']['Logs'];
export type ManifestResources = components['schemas']['ManifestResources'];
export type Me = components['schemas']['Me'];
export type Module = components['schemas']['Module'];
export type ModuleCaps = components['schemas']['ModuleCaps'];
export type ModuleManifest = components['schemas']['ModuleManifest'];
export type ModuleName = components['schemas']['ModuleName'];
export type ModuleRegistered = components['schemas']['ModuleRegistered'];
export type ModuleRegistration = components['schemas']['ModuleRegistration'];
export type ModuleSchemas = components['schemas']['ModuleSchemas'];
export type ModuleVersion = components['schemas']['ModuleVersion'];
export type ModuleVersions = components['schemas']['ModuleVersions'];
export type Modules = components['schemas']['Modules'];
export type OpenJob = components['schemas']['OpenJob'];
export type OutputRow = components['schemas']['OutputRow'];
export type Overlap = components['schemas']['Overlap'];
export type PauseReason = components['schemas']['PauseReason'];
export type Problem = components['schemas']['Problem'];
export type ProblemCode = components['schemas']['ProblemCode'];
export type Progress = components['schemas']['Progress'];
export type ProgressBody = components['schemas']['ProgressBody'];
export type Quantiles = components['schemas']['Quantiles'];
export type Queue = components['schemas']['Queue'];
export type Quota = components['schemas']['Quota'];
export type QuotaAccount = components['schemas']['QuotaAccount'];
export type QuotaAccounts = components['schemas']['QuotaAccounts'];
export type QuotaEntries = components['schemas']['QuotaEntries'];
export type QuotaEntry = components['schemas']['QuotaEntry'];
export type QuotaUsage = components['schemas']['QuotaUsage'];
export type Quotas = components['schemas']['Quotas'];
export type QuotasChanged = components['schemas']['QuotasChanged'];
export type Raise = components['schemas']['Raise'];
export type RaisedResource = components['schemas']['RaisedResource'];
export type Receipt = components['schemas']['Receipt'];
export type RegisterBody = components['schemas']['RegisterBody'];
export type RegisteredJob = components['schemas']['RegisteredJob'];
export type RegisteredJobPage = components['schemas']['RegisteredJobPage'];
export type RelatedJob = components['schemas']['RelatedJob'];
export type RelatedJobs = components['schemas']['RelatedJobs'];
export type ReleaseAnalysis = components['schemas']['ReleaseAnalysis'];
export type ReleaseCancelReceipt = components['schemas']['ReleaseCancelReceipt'];
export type ReleaseJob = components['schemas']['ReleaseJob'];
export type ReleaseJobBody = components['schemas']['ReleaseJobBody'];
export type ReleaseJobLogs = components['schemas']['ReleaseJobLogs'];
export type ReleaseJobStatus = components['schemas']['ReleaseJobStatus'];
export type ReleaseJobs = components['schemas']['ReleaseJobs'];
export type ReleaseReceipt = components['schemas']['ReleaseReceipt'];
export type Resources = components['schemas']['Resources'];
export type ResourcesBody = components['schemas']['ResourcesBody'];
export type Retried = components['schemas']['Retried'];
export type RetriedJobs = components['schemas']['RetriedJobs'];
export type RetryBody = components['schemas']['RetryBody'];
export type RetryPolicy = components['schemas']['RetryPolicy'];
export type RotateWebhook = components['schemas']['RotateWebhook'];
export type Rule = components['schemas']['Rule'];
export type RunningJob = components['schemas']['RunningJob'];
export type SandboxLevel = components['schemas']['SandboxLevel'];
export type Schedule = components['schemas']['Schedule'];
export type ScheduleChanged = components['schemas']['ScheduleChanged'];
export type ScheduleId = components['schemas']['ScheduleId'];
export type ScheduleOccurrence = components['schemas']['ScheduleOccurrence'];
export type ScheduleTriggered = components['schemas']['ScheduleTriggered'];
export type Schedules = components['schemas']['Schedules'];
export type ServedModule = components['schemas']['ServedModule'];
export type SetQuotas = components['schemas']['SetQuotas'];
export type SetSchedule = components['schemas']['SetSchedule'];
export type SetWebhook = components['schemas']['SetWebhook'];
export type StatsPart = components['schemas']['StatsPart'];
export type Stood = components['schemas']['Stood'];
export type Switched = components['schemas']['Switched'];
export type System = components['schemas']['System'];
export type SystemArchive = components['schemas']['SystemArchive'];
export type SystemProjection = components['schemas']['SystemProjection'];
export type SystemReader = components['schemas']['SystemReader'];
export type SystemSegment = components['schemas']['SystemSegment'];
export type SystemStream = components['schemas']['SystemStream'];
export type SystemTrouble = components['schemas']['SystemTrouble'];
export type Task = components['schemas']['Task'];
export type TaskBody = components['schemas']['TaskBody'];
export type TaskClient = components['schemas']['TaskClient'];
export type TaskPage = components['schemas']['TaskPage'];
export type TaskUpdateBody = components['schemas']['TaskUpdateBody'];
export type TaskWorker = components['schemas']['TaskWorker'];
export type TaskWorkerPage = components['schemas']['TaskWorkerPage'];
export type TenantId = components['schemas']['TenantId'];
export type Timestamp = components['schemas']['Timestamp'];
export type TopicName = components['schemas']['TopicName'];
export type Upload = components['schemas']['Upload'];
export type Usage = components['schemas']['Usage'];
export type UserId = components['schemas']['UserId'];
export type Violation = components['schemas']['Violation'];
export type Violations = components['schemas']['Violations'];
export type Waited = components['schemas']['Waited'];
export type Waiting = components['schemas']['Waiting'];
export type WaitingCode = components['schemas']['WaitingCode'];
export type Webhook = components['schemas']['Webhook'];
export type WebhookChanged = components['schemas']['WebhookChanged'];
export type WebhookDeliveries = components['schemas']['WebhookDeliveries'];
export type WebhookDelivery = components['schemas']['WebhookDelivery'];
export type WebhookEndpoint = components['schemas']['WebhookEndpoint'];
export type WebhookId = components['schemas']['WebhookId'];
export type WebhookSecret = components['schemas']['WebhookSecret'];
export type Webhooks = components['schemas']['Webhooks'];
export type Why = components['schemas']['Why'];
export type WizardDraftBody = components['schemas']['WizardDraftBody'];
export type Worker = components['schemas']['Worker'];
export type WorkerId = components['schemas']['WorkerId'];
export type Workers = components['schemas']['Workers'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
