import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useMemo, useState, type FormEvent } from "react";
import { queries, type Filter } from "../../api/queries";
import { useMay } from "../../app/may";
import { Trouble } from "../../parts/Trouble";
import { Bulk, type Action } from "./Bulk";
import { Facets } from "./Facets";
import "./jobs.css";
import { useNewest } from "./newest";
import { choosesSome, chosen, read, write } from "./query";
import { Table } from "./Table";
import { Views } from "./Views";

const route = getRouteApi("/jobs");
const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** All jobs that the asker sees, newest first; everything that chooses is in the address. */
export function Jobs() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const may = useMay();
  const filter = useMemo(() => chosen(search), [search]);
  const list = useInfiniteQuery(queries.jobs(filter));
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.rows) ?? [], [list.data]);
  const [top, setTop] = useState(true);
  const { missed, bring } = useNewest(filter, top);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [action, setAction] = useState<Action | null>(null);

  const choose = useCallback(
    (next: Filter) => {
      setPicked(new Set());
      void navigate({ to: "/jobs", search: next });
    },
    [navigate],
  );
  const pick = useCallback((id: string) => setPicked((before) => {
    const next = new Set(before);
    if (!next.delete(id)) next.add(id);
    return next;
  }), []);
  const { hasNextPage, isFetchingNextPage, fetchNextPage, isError } = list;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage && !isError) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage, isError]);

  return (
    <div className="jobs">
      <div className="row">
        <h1>Jobs</h1>
        <Search key={write(filter)} filter={filter} choose={choose} />
        <Views filter={filter} choose={choose} />
        <label className="dim">
          Order{" "}
          <select
            value={filter.sort ?? ""}
            onChange={(event) => {
              const { sort: _, ...rest } = filter;
              choose(event.currentTarget.value === "" ? rest : { ...rest, sort: event.currentTarget.value });
            }}
          >
            <option value="">newest first</option>
            <option value="created_at">oldest first</option>
          </select>
        </label>
      </div>
      <Facets filter={filter} choose={choose} rows={rows} />
      <div className="row bar">
        <span role="status">
          {rows.length.toLocaleString()} loaded{hasNextPage ? ", more below" : ""}
          {isFetchingNextPage && "…"}
        </span>
        {missed > 0 && (
          <Button size="compact-sm" variant="default" onClick={() => void bring()}>
            {missed.toLocaleString()} new
          </Button>
        )}
        <span className="grow" />
        {picked.size > 0 && <span>{picked.size} chosen</span>}
        {may("cancel_jobs") ? (
          <>
            <Button size="compact-sm" variant="default" disabled={picked.size === 0 && !choosesSome(filter)} onClick={() => setAction("cancel")}>
              Cancel…
            </Button>
            <Button size="compact-sm" variant="default" disabled={picked.size === 0 && !choosesSome(filter)} onClick={() => setAction("retry")}>
              Run again…
            </Button>
          </>
        ) : (
          <span className="dim">this token only reads</span>
        )}
      </div>
      {list.error && <Trouble error={list.error} />}
      {list.isSuccess && rows.length === 0 && !hasNextPage ? (
        <p>No jobs {choosesSome(filter) ? "that this chooses" : "yet"}.</p>
      ) : (
        <Table key={JSON.stringify(filter)} rows={rows} picked={picked} pick={pick} more={more} atTop={setTop} />
      )}
      <Bulk action={action} filter={filter} picked={picked} close={() => setAction(null)} done={() => setPicked(new Set())} />
    </div>
  );
}

function Search({ filter, choose }: { filter: Filter; choose: (filter: Filter) => void }) {
  const navigate = useNavigate();
  const [text, setText] = useState(write(filter));
  const [unknown, setUnknown] = useState<string[]>([]);
  function submit(event: FormEvent) {
    event.preventDefault();
    const id = text.trim();
    if (JOB_ID.test(id)) return void navigate({ to: "/jobs/$id", params: { id }, search: {} });
    const found = read(text);
    setUnknown(found.unknown);
    if (found.unknown.length === 0) choose({ ...found.filter, ...(filter.sort && { sort: filter.sort }) });
  }
  return (
    <form onSubmit={submit} role="search" className="grow">
      <input
        data-search
        className="search mono"
        aria-label="Filter"
        aria-invalid={unknown.length > 0}
        placeholder="status=failed module!=xtb label=team=blue, or a job's id   ( / )"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        spellCheck={false}
      />
      {unknown.length > 0 && (
        <div role="alert" className="dim theirs">
          Not a filter: {unknown.join(" ").slice(0, 200)}
        </div>
      )}
    </form>
  );
}
