import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import type { Webhook } from "../../api/schema";
import { useMay } from "../../app/may";
import { useLive } from "../../live/LiveMark";
import { Dialog } from "../../parts/Dialog";
import { More } from "../../parts/More";
import { When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { writeWords } from "../../words/eventFilter";
import { WebhookForm } from "./Form";

const route = getRouteApi("/webhooks");
const EVERY_MS = 10_000;

/** Where events are sent. */
export function Webhooks() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const paused = useLive().state === "paused";
  const list = useInfiniteQuery({ ...queries.webhooks(), refetchInterval: paused ? false : EVERY_MS });
  const me = useQuery(queries.me());
  const webhooks = list.data?.pages.flatMap((page) => page.webhooks) ?? [];
  const close = () => void navigate({ to: "/webhooks", search: {} });
  return (
    <>
      <div className="row">
        <h1>Webhooks</h1>
        <span className="grow" />
        {may("create_webhook") ? (
          <Button size="compact-sm" onClick={() => void navigate({ to: "/webhooks", search: { new: "1" } })}>
            New webhook…
          </Button>
        ) : (
          <span className="dim">this token only reads</span>
        )}
      </div>
      {list.error && <Trouble error={list.error} />}
      {list.isSuccess && webhooks.length === 0 && (
        <p className="dim">
          None. A webhook sends events to an HTTPS endpoint, signed; how they are verified is in docs/webhooks.md.
        </p>
      )}
      {webhooks.length > 0 && (
        <table className="plain">
          <thead>
            <tr>
              <th>Endpoint</th>
              <th>What for</th>
              <th>Owner</th>
              <th>Events</th>
              <th>State</th>
              <th>Made</th>
            </tr>
          </thead>
          <tbody>
            {webhooks.map((webhook) => (
              <tr key={webhook.id}>
                <td>
                  <Link to="/webhooks/$id" params={{ id: webhook.id }} search={{}} className="theirs">
                    {webhook.url}
                  </Link>
                </td>
                <td className="theirs">{webhook.description}</td>
                <td className="theirs">
                  {webhook.user_id}
                  {webhook.of_tenant && <span className="dim"> (of the tenant)</span>}
                </td>
                <td className="theirs mono">{writeWords(webhook.filter) || "all"}</td>
                <td>
                  <Standing webhook={webhook} />
                </td>
                <td>
                  <When at={webhook.created_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <More list={list} />
      <Dialog open={search.new !== undefined && may("create_webhook")} onClose={close} title="New webhook">
        <WebhookForm admin={me.data?.is_admin ?? false} done={close} />
      </Dialog>
    </>
  );
}

const OFF: Record<string, string> = {
  gone: "its endpoint answered 410",
  failing: "nothing was taken for days",
  key_revoked: "its API key was revoked",
  key_expired: "its API key has run out",
};

/** Whether it sends, and if not why; how its endpoint takes it, where that is known. */
export function Standing({ webhook: { enabled, disabled_reason, endpoint } }: { webhook: Webhook }) {
  if (!enabled) {
    return (
      <span className="state" data-state="canceled">
        ⊘ off{disabled_reason && `: ${OFF[disabled_reason] ?? disabled_reason}`}
      </span>
    );
  }
  if (endpoint && endpoint.failures > 0) {
    return (
      <span className="state" data-state="failed">
        ✕ {endpoint.failures} attempts failed
      </span>
    );
  }
  return (
    <span className="state" data-state="succeeded">
      ✓ on
    </span>
  );
}
