import { useQuery } from "@tanstack/react-query";
import { queries, type Filter } from "../api/queries";

/** How many open jobs that the asker sees an act is about. */
export function Hit({ filter }: { filter: Filter }) {
  const open: Filter = { ...filter, status: "queued,running" };
  const counts = useQuery(queries.counts(open, "status"));
  if (!counts.data) return null;
  const { count, is_exact } = counts.data;
  return (
    <p>
      <b>
        {count.toLocaleString()}
        {!is_exact && "+"}
      </b>{" "}
      open jobs of it.
    </p>
  );
}
