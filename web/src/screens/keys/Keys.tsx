import { Button, Checkbox, NativeSelect, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "../../api/client";
import { Problem } from "../../api/problem";
import { queries } from "../../api/queries";
import type { KeyCreated } from "../../api/schema";
import { useMay } from "../../app/may";
import { Act } from "../../parts/Act";
import { Dialog } from "../../parts/Dialog";
import { More } from "../../parts/More";
import { Reason } from "../../parts/Reason";
import { Secret } from "../../parts/Secret";
import { Copy, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";

const route = getRouteApi("/keys");

/** Keys for machines: who may do what without a person. */
export function Keys() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const list = useInfiniteQuery(queries.keys());
  const me = useQuery(queries.me());
  const keys = list.data?.pages.flatMap((page) => page.keys) ?? [];
  const close = () => void navigate({ to: "/keys", search: {} });
  return (
    <>
      <div className="row">
        <h1>API keys</h1>
        <span className="grow" />
        {may("create_key") ? (
          <Button size="compact-sm" onClick={() => void navigate({ to: "/keys", search: { new: "1" } })}>
            New key…
          </Button>
        ) : (
          <span className="dim">this token makes none</span>
        )}
      </div>
      {list.error && <Trouble error={list.error} />}
      {list.isSuccess && keys.length === 0 && <p className="dim">None. A key lets a machine ask, and can do no more than whoever makes it.</p>}
      {keys.length > 0 && (
        <table className="plain">
          <thead>
            <tr>
              <th>Name</th>
              <th>Acts as</th>
              <th>Role</th>
              <th>May</th>
              <th>Made</th>
              <th>Runs out</th>
              <th>Id</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => (
              <tr key={key.id} data-key={key.id}>
                <td className="theirs">{key.name}</td>
                <td className="theirs">
                  {key.user_id}
                  {key.created_by !== key.user_id && <span className="dim"> made by {key.created_by}</span>}
                </td>
                <td>{key.role}</td>
                <td>{key.scopes.length === 0 ? "all that the role may" : key.scopes.join(", ")}</td>
                <td>
                  <When at={key.created_at} />
                </td>
                <td>{key.expires_at ? <When at={key.expires_at} /> : "never"}</td>
                <td className="mono" title={key.id}>
                  {key.id.slice(0, 8)}… <Copy text={key.id} what="id" />
                </td>
                <td>
                  {may("revoke_key") && (
                    <Act
                      name="Revoke"
                      says={`${key.name}: within five seconds no gateway takes this one key. Schedules and webhooks that are bound to it stop.`}
                      method="DELETE"
                      path={`/keys/${encodeURIComponent(key.id)}`}
                      stale={["keys"]}
                    />
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <More list={list} />
      <Dialog open={search.new !== undefined && may("create_key")} onClose={close} title="New API key">
        <NewKey admin={me.data?.is_admin ?? false} done={close} />
      </Dialog>
    </>
  );
}

const LIVES: [label: string, days: number][] = [
  ["never", 0],
  ["in a day", 1],
  ["in 30 days", 30],
  ["in 90 days", 90],
  ["in a year", 365],
];
const DAY_MS = 86_400_000;

function NewKey({ admin, done }: { admin: boolean; done: () => void }) {
  const cache = useQueryClient();
  const [name, setName] = useState("");
  const [days, setDays] = useState(90);
  const [role, setRole] = useState("user");
  const [reads, setReads] = useState(false);
  const [service, setService] = useState("");
  const [reason, setReason] = useState("");
  const work = useMutation({
    mutationFn: () =>
      send<KeyCreated>("POST", "/keys", {
        body: {
          name,
          role,
          scopes: reads ? ["compute:read"] : [],
          ...(days > 0 && { expires_at: new Date(Date.now() + days * DAY_MS).toISOString() }),
          ...(service !== "" && { service }),
        },
        reason,
      }),
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["keys"] }),
  });
  const fault = (pointer: string) => (work.error ? Problem.from(work.error).errors.find((each) => each.pointer.startsWith(pointer))?.detail : undefined);
  if (work.data) {
    return (
      <>
        <Secret secret={work.data.secret} says={`${work.data.name} acts as ${work.data.user_id}. Machines send this as their bearer token.`} />
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
      <TextInput label="Name" required description="For people: what uses it." maxLength={128} value={name} onChange={(event) => setName(event.currentTarget.value)} error={fault("/name")} />
      <NativeSelect label="Runs out" value={String(days)} onChange={(event) => setDays(Number(event.currentTarget.value))} data={LIVES.map(([label, count]) => ({ label, value: String(count) }))} error={fault("/expires_at")} />
      {admin && <NativeSelect label="Role" value={role} onChange={(event) => setRole(event.currentTarget.value)} data={["user", "admin"]} error={fault("/role")} />}
      {admin && <TextInput label="Service" description="It acts as service:NAME instead of as you." value={service} onChange={(event) => setService(event.currentTarget.value)} error={fault("/service")} />}
      <Checkbox label="Only reads" checked={reads} onChange={(event) => setReads(event.currentTarget.checked)} />
      <Reason reason={reason} set={setReason} />
      {work.error && <Trouble error={work.error} />}
      <div>
        <Button type="submit" loading={work.isPending} disabled={name.trim() === ""}>
          Create
        </Button>
      </div>
    </form>
  );
}
