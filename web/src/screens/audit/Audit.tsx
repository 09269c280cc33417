import { Button } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Fragment, useEffect, useMemo, useState, type FormEvent } from "react";
import { queries } from "../../api/queries";
import type { Act } from "../../api/schema";
import { useLive } from "../../live/LiveMark";
import { More } from "../../parts/More";
import { saveLines } from "../../parts/save";
import { Copy, Json, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { FILTERS, VERBS } from "./filter";
import { ObjectLink } from "./ObjectLink";

const route = getRouteApi("/audit");
const EVERY_MS = 5000;
/** A page of the audit is 300 frames of the log and may have no act: so many more are asked for by themselves. */
const FOLLOWED_MAX = 10;

/** Who did what, from where and why. */
export function Audit() {
  const search = route.useSearch() as Record<string, string>;
  const navigate = useNavigate();
  const paused = useLive().state === "paused";
  const me = useQuery(queries.me());
  const filter = useMemo(
    () => Object.fromEntries(Object.entries(search).filter(([name, value]) => value !== "" && (["sort", "outcome"].includes(name) || FILTERS.some((each) => each.name === name)))),
    [search],
  );
  const list = useInfiniteQuery({
    ...queries.audit(filter),
    // One that somebody reads page by page stands still.
    refetchInterval: ({ state }) => (paused || state.error || (state.data?.pages.length ?? 0) > 1 ? false : EVERY_MS),
  });
  const acts = list.data?.pages.flatMap((page) => page.acts) ?? [];
  const pages = list.data?.pages ?? [];
  const { hasNextPage, isFetchingNextPage, isError, fetchNextPage } = list;
  const empty = pages.length > 0 && pages.length < FOLLOWED_MAX && acts.length === 0;
  useEffect(() => {
    if (empty && hasNextPage && !isFetchingNextPage && !isError) void fetchNextPage();
  }, [empty, hasNextPage, isFetchingNextPage, isError, fetchNextPage]);

  const choose = (next: Record<string, string>) => void navigate({ to: "/audit", search: next });
  const reached = pages.at(-1)?.next;
  const words = Object.entries(filter).filter(([name]) => name !== "sort");
  return (
    <>
      <div className="row">
        <h1>Audit</h1>
        <span className="dim">{me.data && (me.data.tenant === "default" ? "of the tenant default and of the system" : `of the tenant ${me.data.tenant}`)}</span>
        <span className="grow" />
        <Copy text={["noxctl audit list", ...words.map(([name, value]) => `--${name === "user_id" ? "user" : name === "job_id" ? "job" : name} '${value.replaceAll("'", `'\\''`)}'`)].join(" ")} what="noxctl" />
        <Button size="compact-sm" variant="default" disabled={acts.length === 0} onClick={() => saveLines("audit.jsonl", acts)}>
          Save as JSONL
        </Button>
      </div>
      <Chosen key={JSON.stringify(filter)} filter={filter} choose={choose} />
      {list.error && <Trouble error={list.error} />}
      {acts.length > 0 && <Acts acts={acts} filter={filter} choose={choose} />}
      {list.isSuccess && acts.length === 0 && <p className="dim">{hasNextPage ? "Nothing yet that this chooses." : "Nothing that this chooses."}</p>}
      {hasNextPage && reached && (
        <p className="dim" role="status">
          Looked as far as frame {reached.split("-")[0]} of the log.
        </p>
      )}
      <More list={list} name={filter.sort === "at" ? "Look further on" : "Look further back"} />
    </>
  );
}

function Chosen({ filter, choose }: { filter: Record<string, string>; choose: (filter: Record<string, string>) => void }) {
  const [draft, setDraft] = useState(filter);
  function submit(event: FormEvent) {
    event.preventDefault();
    choose(Object.fromEntries(Object.entries(draft).filter(([, value]) => value.trim() !== "")));
  }
  return (
    <form role="search" className="row filters" onSubmit={submit}>
      {FILTERS.map(({ name, label, hint }, place) => (
        <label key={name}>
          <span className="dim">{label}</span>
          <input
            {...(place === 0 && { "data-search": true })}
            list={name === "verb" ? "verbs" : undefined}
            placeholder={hint}
            value={draft[name] ?? ""}
            onChange={(event) => setDraft({ ...draft, [name]: event.currentTarget.value })}
            spellCheck={false}
          />
        </label>
      ))}
      <label>
        <span className="dim">Outcome</span>
        <select value={filter.outcome ?? ""} onChange={(event) => choose({ ...draft, outcome: event.currentTarget.value })}>
          <option value="">any</option>
          <option>done</option>
          <option>refused</option>
        </select>
      </label>
      <label>
        <span className="dim">Order</span>
        <select value={filter.sort ?? ""} onChange={(event) => choose({ ...draft, sort: event.currentTarget.value })}>
          <option value="">newest first</option>
          <option value="at">oldest first</option>
        </select>
      </label>
      <datalist id="verbs">
        {VERBS.map((verb) => (
          <option key={verb} value={verb} />
        ))}
      </datalist>
      <Button type="submit" size="compact-sm" variant="default">
        Filter
      </Button>
      {Object.keys(filter).length > 0 && (
        <Button size="compact-sm" variant="subtle" onClick={() => choose({})}>
          All
        </Button>
      )}
    </form>
  );
}

type Shown = { acts: Act[]; filter: Record<string, string>; choose: (filter: Record<string, string>) => void };

function Acts({ acts, filter, choose }: Shown) {
  const [open, setOpen] = useState("");
  return (
    <table className="plain">
      <thead>
        <tr>
          <th>At</th>
          <th>Who</th>
          <th>Did</th>
          <th>To</th>
          <th>Why</th>
          <th>Outcome</th>
          <th>From</th>
          <th>Token</th>
          <th>Place</th>
        </tr>
      </thead>
      <tbody>
        {acts.map((act) => (
          <Fragment key={act.id}>
            <tr>
              <td>
                <When at={act.at} exact />
              </td>
              <td className="theirs">
                {act.user_id ? (
                  <button type="button" className="plain-button link" title="Of this user alone" onClick={() => choose({ ...filter, user_id: act.user_id ?? "" })}>
                    {act.user_id}
                  </button>
                ) : (
                  <span className="dim">the system</span>
                )}{" "}
                {act.role && <span className="dim">{act.role}</span>}
              </td>
              <td>
                <button type="button" className="plain-button link" title="This verb alone" onClick={() => choose({ ...filter, verb: act.verb })}>
                  {act.verb}
                </button>
              </td>
              <td className="theirs">
                <ObjectLink object={act.object} />
              </td>
              <td className="theirs">{act.reason}</td>
              <td>
                {act.outcome === "done" ? (
                  "done"
                ) : (
                  <span className="state" data-state="failed">
                    ✕ refused{act.code && `: ${act.code}`}
                  </span>
                )}
              </td>
              <td className="mono theirs">{act.from}</td>
              <td className="mono theirs">{act.key_id ? `key ${act.key_id.slice(0, 8)}` : act.token_id?.slice(0, 24)}</td>
              <td>
                <button type="button" className="plain-button mono" aria-expanded={open === act.id} aria-label={`All of ${act.id}`} onClick={() => setOpen(open === act.id ? "" : act.id)}>
                  {act.id}
                </button>
              </td>
            </tr>
            {open === act.id && (
              <tr>
                <td colSpan={9}>
                  <Json value={act} label={`act ${act.id}`} />
                </td>
              </tr>
            )}
          </Fragment>
        ))}
      </tbody>
    </table>
  );
}
