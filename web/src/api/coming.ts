/** Answers that docs/openapi.json does not describe yet, as the gateway has them. */
import type { Job, Me } from "./schema";

export type Count = { value: string | null; count: number; is_exact: boolean };
export type Facet = { is_exact: boolean; others: number; values: Count[] };
export type Counts = { count: number; is_exact: boolean; by: Record<string, Facet> };

export type MeMore = Me & { is_operator?: boolean; scopes?: string[]; expires_at?: string | null; operations?: string[] };

export type Info = { name: string | null; color: string | null; version: string };

export type DryRun = {
  job: { module: string; module_version: string | null; cpu_seconds: number } | null;
  known_job_id: string | null;
  limits_known: boolean;
};

export type Spread = { count: number; p50: number | null; p95: number | null; max: number | null };
export type Stats = {
  from: string;
  to: string;
  part_s: number;
  is_exact: boolean;
  submitted: number;
  succeeded: number;
  failed: number;
  canceled: number;
  wait_s: Spread;
  run_s: Spread;
  parts: { from: string; submitted: number; succeeded: number; failed: number; canceled: number }[];
};

export type Segment = { n_first: number; n_last: number; bytes: number };
export type StreamFigures = { name: string; messages?: number; bytes?: number; bytes_max?: number | null; first_seq?: number; last_seq?: number };
export type SystemFigures = {
  at: string;
  version: string;
  projection: { n: number | null; lag_frames: number; lag_s: number };
  streams: StreamFigures[];
  readers: { name: string; n: number | null; lag_frames: number | null }[] | null;
  archive: { segments: number; bytes: number; oldest: Segment | null; newest: Segment | null } | null;
  troubles: { part: string; detail: string }[];
};

export type Kin = { job_id: string; user_id: string; state: Job["state"] };
export type Related = {
  retry_of: Kin | null;
  retries: Kin[];
  retries_complete: boolean;
  follows: Kin[];
  schedule_id: string | null;
  batch: Kin[];
  hidden: number;
  log_known: boolean;
};
