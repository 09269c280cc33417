import { flexRender, getCoreRowModel, useReactTable, type Row as ModelRow } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useNavigate } from "@tanstack/react-router";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import type { Row } from "../../api/queries";
import { typing } from "../../app/Keys";
import { COLUMNS } from "./columns";

const ROW_PX = 32;

type Props = {
  rows: Row[];
  picked: ReadonlySet<string>;
  pick: (id: string) => void;
  /** The end came into sight. */
  more: () => void;
  /** Whether the beginning is in sight. */
  atTop: (top: boolean) => void;
};

/** However many rows there are, those in sight are in the page. */
export function Table({ rows, picked, pick, more, atTop }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const navigate = useNavigate();
  const [at, setAt] = useState(-1);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
    onChange: (list) => atTop((list.scrollOffset ?? 0) < ROW_PX),
  });
  const shown = virtual.getVirtualItems();
  const first = shown[0]?.index ?? 0;
  const last = shown.at(-1)?.index ?? -1;
  // The table's model has the rows in sight alone: one of 100,000 would be made anew with each event.
  const sight = useMemo(() => rows.slice(first, last + 1), [rows, first, last]);
  const table = useReactTable({ data: sight, columns: COLUMNS, getCoreRowModel: getCoreRowModel(), getRowId: (row) => row.id });
  const model = table.getRowModel().rows;
  useEffect(() => {
    if (last >= rows.length - 20) more();
  }, [last, rows.length, more]);

  useEffect(() => {
    function pressed(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
      const step = { j: 1, k: -1 }[event.key];
      if (step !== undefined) {
        const next = Math.min(Math.max(at + step, 0), rows.length - 1);
        setAt(next);
        virtual.scrollToIndex(next);
      } else if (event.key === "Enter" && rows[at] && !(event.target as HTMLElement).closest("a, button, input")) {
        void navigate({ to: "/jobs/$id", params: { id: rows[at].id }, search: {} });
      } else if (event.key === "x" && rows[at]) pick(rows[at].id);
      else return;
      event.preventDefault();
    }
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [at, rows, virtual, navigate, pick]);

  return (
    <div className="table" role="table" aria-label="Jobs" aria-rowcount={rows.length + 1}>
      <div className="table-head" role="row">
        <span role="columnheader" className="pick">
          <span className="skip">Chosen</span>
        </span>
        {table.getFlatHeaders().map((header) => (
          <span key={header.id} role="columnheader" className="cell" data-column={header.column.id}>
            {flexRender(header.column.columnDef.header, header.getContext())}
          </span>
        ))}
      </div>
      <div className="table-body" ref={box} tabIndex={0} role="rowgroup" aria-label="Rows">
        <div role="presentation" style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {shown.map((item) => {
            const row = model[item.index - first];
            if (!row) return null;
            return <Line key={row.id} row={row} place={item.index} start={item.start} at={item.index === at} picked={picked.has(row.id)} pick={pick} />;
          })}
        </div>
      </div>
    </div>
  );
}

type LineProps = { row: ModelRow<Row>; place: number; start: number; at: boolean; picked: boolean; pick: (id: string) => void };

/** The model makes its rows anew whenever another is in sight: one whose job is the same stays as it is. */
const Line = memo(
  function Line({ row, place, start, at, picked, pick }: LineProps) {
    return (
      <div role="row" aria-rowindex={place + 2} className="table-row" data-at={at || undefined} data-job={row.id} style={{ transform: `translateY(${start}px)` }}>
        <span role="cell" className="pick">
          <input type="checkbox" aria-label={`Choose ${row.id}`} checked={picked} onChange={() => pick(row.id)} />
        </span>
        {row.getVisibleCells().map((cell) => (
          <span key={cell.id} role="cell" className="cell" data-column={cell.column.id}>
            {flexRender(cell.column.columnDef.cell, cell.getContext())}
          </span>
        ))}
      </div>
    );
  },
  (one, other) =>
    one.row.original === other.row.original && one.place === other.place && one.start === other.start && one.at === other.at && one.picked === other.picked && one.pick === other.pick,
);
