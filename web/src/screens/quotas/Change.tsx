import { Button, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "../../api/client";
import { Problem } from "../../api/problem";
import type { QuotaAccount } from "../../api/schema";
import { Act } from "../../parts/Act";
import { Dialog } from "../../parts/Dialog";
import { given, Reason } from "../../parts/Reason";
import { Trouble } from "../../parts/Trouble";

const SAID: Record<string, string> = {
  cpu_seconds: "Core seconds of a UTC day",
  queued_jobs: "Jobs that have not ended",
  running_jobs: "Attempts at a time",
  cpu: "Cores of one job",
  mem_mb: "MiB of one job",
  drafts: "Drafts",
  starts_per_minute: "Starts a minute (4294967295: no limit)",
};

/** Sets another account's limits, or lets it follow its role again. In force at once. */
export function Change({ account: { tenant, user_id, limits, change } }: { account: QuotaAccount }) {
  const cache = useQueryClient();
  const [open, setOpen] = useState(false);
  const [draft, setDraft] = useState<Record<string, string>>({});
  const [reason, setReason] = useState("");
  const path = user_id ? `/quotas/${encodeURIComponent(user_id)}` : `/tenants/${encodeURIComponent(tenant)}/quotas`;
  const value = (name: string) => draft[name] ?? String(limits[name as keyof typeof limits]);
  const work = useMutation({
    mutationFn: () => send("PUT", path, { body: { limits: Object.fromEntries(Object.keys(SAID).map((name) => [name, Number(value(name))])), reason }, reason }),
    onSuccess: () => {
      close();
      void cache.invalidateQueries({ queryKey: ["quotas"] });
    },
  });
  const errors = work.error ? Problem.from(work.error).errors : [];
  function close() {
    setOpen(false);
    setDraft({});
    setReason("");
    work.reset();
  }
  return (
    <span className="row">
      <Button size="compact-sm" variant="default" onClick={() => setOpen(true)}>
        Change limits…
      </Button>
      {change && !change.reset && (
        <Act name="Follow the role again" says={`What ${change.by} set counts no more: ${user_id ?? tenant} has the limits of its role, for what waits already as well.`} method="DELETE" path={path} reasonInQuery stale={["quotas"]} />
      )}
      <Dialog open={open} onClose={close} title={`Limits of ${user_id ?? `the tenant ${tenant}`}`}>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            work.mutate();
          }}
        >
          <p>In force at once, for what waits already as well.</p>
          <div className="members" data-root>
            {Object.entries(SAID).map(([name, label]) => (
              <TextInput
                key={name}
                label={label}
                inputMode="numeric"
                value={value(name)}
                onChange={(event) => setDraft({ ...draft, [name]: event.currentTarget.value.replace(/\D/g, "") })}
                error={errors.find(({ pointer }) => pointer === `/limits/${name}`)?.detail}
              />
            ))}
          </div>
          <Reason reason={reason} set={setReason} required />
          {work.error && <Trouble error={work.error} />}
          <div>
            <Button type="submit" loading={work.isPending} disabled={!given(reason, true) || Object.keys(SAID).some((name) => value(name) === "")}>
              Save
            </Button>
          </div>
        </form>
      </Dialog>
    </span>
  );
}
