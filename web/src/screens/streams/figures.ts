/** Values of a Prometheus text, each line under its name with its labels. Histograms are left out. */
export function figures(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name, value] = /^(nox_[a-z0-9_]+(?:\{[^}]*\})?) (\S+)$/.exec(line) ?? [];
    if (name && value && !name.includes("_bucket{")) found.set(name, Number(value));
  }
  return found;
}

export type Reader = { reads: string; name: string; unit: string };

/** Who reads the log, and the figure that says how far behind it each is. */
export const READERS: Reader[] = [
  { reads: "Rows (projector)", name: "nox_projection_lag_frames", unit: "frames" },
  { reads: "Rows as this gateway sees them", name: "nox_gateway_view_lag_frames", unit: "frames" },
  { reads: "Feed for NATS clients (notifier)", name: "nox_feed_lag_frames", unit: "frames" },
  { reads: "Audit's files (notifier)", name: "nox_audit_lag_frames", unit: "frames" },
  { reads: "Scheduler, frames decided and not yet acknowledged", name: "nox_scheduler_backlog_frames", unit: "frames" },
  { reads: "Webhooks, deliveries that wait", name: "nox_webhook_waiting", unit: "deliveries" },
];
