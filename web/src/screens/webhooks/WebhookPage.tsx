import { Button } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { send } from "../../api/client";
import { queries } from "../../api/queries";
import type { Webhook, WebhookChanged, WebhookDelivery, WebhookSecret } from "../../api/schema";
import { useMay } from "../../app/may";
import { useLive } from "../../live/LiveMark";
import { Act } from "../../parts/Act";
import { Dialog } from "../../parts/Dialog";
import { More } from "../../parts/More";
import { Secret } from "../../parts/Secret";
import { Copy, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { writeWords } from "../../words/eventFilter";
import { WebhookForm } from "./Form";
import { Standing } from "./Webhooks";

const route = getRouteApi("/webhooks/$id");
/** Attempts are no events: they are asked for. */
const EVERY_MS = 3000;

/** One webhook: how its endpoint is, and what was sent there. */
export function WebhookPage() {
  const { id } = route.useParams();
  const paused = useLive().state === "paused";
  const webhook = useQuery({ ...queries.webhook(id), refetchInterval: paused ? false : EVERY_MS });
  if (webhook.error) return <Trouble error={webhook.error} />;
  if (!webhook.data) return <p>Loading…</p>;
  return <Known key={id} webhook={webhook.data} />;
}

function Known({ webhook }: { webhook: Webhook }) {
  const navigate = useNavigate();
  const search = route.useSearch();
  const may = useMay();
  const me = useQuery(queries.me());
  const { endpoint } = webhook;
  const close = () => void navigate({ to: "/webhooks/$id", params: { id: webhook.id }, search: {} });
  return (
    <article>
      <div className="row">
        <h1 className="theirs">{webhook.url}</h1>
        <span className="grow" />
        {may("replace_webhook") && <Actions webhook={webhook} />}
      </div>
      <p className="theirs">{webhook.description}</p>
      <div className="row facts">
        <Standing webhook={webhook} />
        <span>
          <span className="dim">owner</span> <span className="theirs">{webhook.user_id}</span>
        </span>
        <span>
          <span className="dim">sends</span> <span className="theirs mono">{writeWords(webhook.filter) || "all"}</span>
          {webhook.of_tenant && " of all of the tenant"}
        </span>
        <span>
          <span className="dim">secret rotated</span> {webhook.rotation} times
          {webhook.previous_secret_until && (
            <>
              , the one before signs until <When at={webhook.previous_secret_until} exact />
            </>
          )}
        </span>
        {webhook.key_id && (
          <span>
            <span className="dim">bound to the key</span> <span className="mono">{webhook.key_id}</span>
          </span>
        )}
        <span>
          <span className="dim">id</span> <span className="mono">{webhook.id}</span> <Copy text={webhook.id} what="id" />
        </span>
      </div>
      {endpoint && (endpoint.failing_since || endpoint.dropped > 0) && (
        <p className="problem">
          {endpoint.failing_since && (
            <>
              Nothing was taken since <When at={endpoint.failing_since} exact />, in {endpoint.failures} attempts.{" "}
            </>
          )}
          {endpoint.dropped > 0 && <>{endpoint.dropped} deliveries were dropped, for too many waited.</>}
        </p>
      )}
      <Deliveries webhook={webhook} />
      <Dialog open={search.edit !== undefined && may("replace_webhook")} onClose={close} title="Change this webhook">
        <WebhookForm webhook={webhook} admin={me.data?.is_admin ?? false} done={close} />
      </Dialog>
    </article>
  );
}

function Actions({ webhook }: { webhook: Webhook }) {
  const navigate = useNavigate();
  const path = `/webhooks/${encodeURIComponent(webhook.id)}`;
  const { url, description, filter, of_tenant, enabled } = webhook;
  return (
    <>
      <Button size="compact-sm" variant="default" onClick={() => void navigate({ to: "/webhooks/$id", params: { id: webhook.id }, search: { edit: "1" } })}>
        Change…
      </Button>
      {enabled && <Act name="Send a test" harmless says="Its endpoint is sent one event that says that you asked for it." path={`${path}/test`} stale={["webhooks"]} />}
      <Act
        name="Rotate secret"
        says="There is another secret from now on. For a day each event is signed by both, so that receivers can change over."
        path={`${path}/rotate-secret`}
        stale={["webhooks"]}
        then={(answer) => <Secret secret={(answer as WebhookSecret).secret} says="This secret signs from now on." />}
      />
      <Act
        name={enabled ? "Switch off" : "Switch on"}
        harmless={!enabled}
        says={enabled ? "Nothing is sent any more, and what waits is forgotten. What happens meanwhile is not sent later." : "What happens from now on is sent."}
        method="PUT"
        path={path}
        body={{ url, description, filter, of_tenant, enabled: !enabled }}
        stale={["webhooks"]}
      />
      <Act name="Delete" says="Nothing is sent any more, and what was sent cannot be looked at." method="DELETE" path={path} stale={["webhooks", "list"]} done={() => void navigate({ to: "/webhooks", search: {} })} />
    </>
  );
}

const SIGNS: Record<string, [sign: string, state: string]> = {
  pending: ["◔", "queued"],
  delivered: ["✓", "succeeded"],
  failed: ["✕", "failed"],
  dropped: ["✕", "failed"],
  canceled: ["⊘", "canceled"],
};

function Deliveries({ webhook }: { webhook: Webhook }) {
  const cache = useQueryClient();
  const may = useMay();
  const paused = useLive().state === "paused";
  const list = useInfiniteQuery({ ...queries.deliveries(webhook.id), refetchInterval: paused ? false : EVERY_MS });
  const deliveries = list.data?.pages.flatMap((page) => page.deliveries) ?? [];
  const again = useMutation({
    mutationFn: ({ id }: WebhookDelivery) =>
      send<WebhookChanged>("POST", `/webhooks/${encodeURIComponent(webhook.id)}/deliveries/${encodeURIComponent(id)}/redeliver`),
    onSuccess: () => void cache.invalidateQueries({ queryKey: ["webhooks", webhook.id] }),
  });
  return (
    <section>
      <h2>Deliveries</h2>
      {list.error && <Trouble error={list.error} />}
      {again.error && <Trouble error={again.error} />}
      {list.isSuccess && deliveries.length === 0 && <p className="dim">Nothing was sent yet.</p>}
      {deliveries.length > 0 && (
        <table className="plain">
          <thead>
            <tr>
              <th>Event</th>
              <th>State</th>
              <th className="number">Attempts</th>
              <th>Answer</th>
              <th>Decided</th>
              <th>Last attempt</th>
              <th>Next attempt</th>
              <th>webhook-id</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {deliveries.map((delivery) => {
              const [sign, state] = SIGNS[delivery.state] ?? ["?", "draft"];
              return (
                <tr key={delivery.id} data-delivery={delivery.id}>
                  <td>
                    {delivery.type.replace(/^nox\.|\.v1$/g, "")} <span className="dim mono">{delivery.event_id}</span>
                  </td>
                  <td>
                    <span className="state" data-state={state}>
                      <span aria-hidden>{sign}</span> {delivery.state}
                    </span>
                  </td>
                  <td className="number">{delivery.attempts}</td>
                  <td>{delivery.status ?? delivery.error ?? "–"}</td>
                  <td>
                    <When at={delivery.created_at} />
                  </td>
                  <td>
                    <When at={delivery.last_at} />
                  </td>
                  <td>
                    <When at={delivery.next_attempt_at} />
                  </td>
                  <td className="mono" title={delivery.id}>
                    …{delivery.id.slice(-12)} <Copy text={delivery.id} what="id" />
                  </td>
                  <td>
                    {may("redeliver") && webhook.enabled && (
                      <Button
                        size="compact-sm"
                        variant="default"
                        aria-label={`Redeliver ${delivery.event_id}`}
                        loading={again.isPending && again.variables.id === delivery.id}
                        onClick={() => again.mutate(delivery)}
                      >
                        Redeliver
                      </Button>
                    )}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      <More list={list} />
      <p className="dim">
        Kept for a week, of each webhook the newest 1,000. To the list: <Link to="/webhooks" search={{}}>all webhooks</Link>
      </p>
    </section>
  );
}
