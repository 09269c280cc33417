import { Button, Checkbox, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "../../api/client";
import { Problem } from "../../api/problem";
import type { Webhook, WebhookSecret } from "../../api/schema";
import { Reason } from "../../parts/Reason";
import { Secret } from "../../parts/Secret";
import { Trouble } from "../../parts/Trouble";
import { readWords, withType, writeWords } from "../../words/eventFilter";

const TYPES = ["job.succeeded", "job.failed", "job.canceled", "job.submitted", "worker.left", "quota.violated"];

type Props = { webhook?: Webhook | undefined; admin: boolean; done: () => void };

/** A webhook that is to be, or another one in the place of `webhook`. */
export function WebhookForm({ webhook, admin, done }: Props) {
  const cache = useQueryClient();
  const [url, setUrl] = useState(webhook?.url ?? "");
  const [description, setDescription] = useState(webhook?.description ?? "");
  const [filter, setFilter] = useState(webhook ? writeWords(webhook.filter) : "type=job.succeeded,job.failed");
  const [ofTenant, setOfTenant] = useState(webhook?.of_tenant ?? false);
  const [enabled, setEnabled] = useState(webhook?.enabled ?? true);
  const [reason, setReason] = useState("");
  const { words, unknown } = readWords(filter);
  const work = useMutation({
    mutationFn: () =>
      send<Partial<WebhookSecret>>(webhook ? "PUT" : "POST", webhook ? `/webhooks/${encodeURIComponent(webhook.id)}` : "/webhooks", {
        body: { url, description, filter: words, of_tenant: ofTenant, enabled },
        reason,
      }),
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ["webhooks"] });
      if (webhook) done();
    },
  });
  const fault = (pointer: string) => (work.error ? Problem.from(work.error).errors.find((each) => each.pointer.startsWith(pointer))?.detail : undefined);
  if (!webhook && work.data?.secret) {
    return (
      <>
        <Secret secret={work.data.secret} says="Receivers verify what arrives by this secret." />
        <Button onClick={done}>I have it</Button>
      </>
    );
  }
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        work.mutate();
      }}
    >
      <TextInput label="URL" required type="url" placeholder="https://hooks.example.org/nox" value={url} onChange={(event) => setUrl(event.currentTarget.value)} error={fault("/url")} />
      <TextInput label="Description" maxLength={256} value={description} onChange={(event) => setDescription(event.currentTarget.value)} error={fault("/description")} />
      <TextInput
        label="Which events"
        description="type, status, module, user_id, label, each also with ! for all others. Nothing: all that you may see."
        classNames={{ input: "mono" }}
        spellCheck={false}
        value={filter}
        onChange={(event) => setFilter(event.currentTarget.value)}
        error={unknown.length > 0 ? `Not a word of a filter: ${unknown.join(" ").slice(0, 200)}` : fault("/filter")}
      />
      <div className="row" role="group" aria-label="Types">
        {TYPES.map((type) => (
          <button key={type} type="button" className="facet" aria-pressed={words.type?.includes(type) ?? false} onClick={() => setFilter(withType(filter, type))}>
            {type}
          </button>
        ))}
      </div>
      {admin && <Checkbox label="Events of all of the tenant, not only yours" checked={ofTenant} onChange={(event) => setOfTenant(event.currentTarget.checked)} />}
      <Checkbox label="Switched on" checked={enabled} onChange={(event) => setEnabled(event.currentTarget.checked)} />
      {webhook && <Reason reason={reason} set={setReason} />}
      {work.error && <Trouble error={work.error} />}
      <div>
        <Button type="submit" loading={work.isPending} disabled={url === "" || unknown.length > 0}>
          {webhook ? "Save" : "Create"}
        </Button>
      </div>
    </form>
  );
}
