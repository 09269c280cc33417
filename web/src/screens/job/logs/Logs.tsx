import { Button } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { ask, job } from "../../../api/client";
import { save } from "../../../parts/save";
import { Trouble } from "../../../parts/Trouble";
import { bare, hex, pieces, type Style } from "./ansi";
import { useLog } from "./follow";
import type { Line } from "./lines";
import "./logs.css";

const LINE_PX = 18;
/** Of a search, as many lines are found. */
const FOUND_MAX = 10_000;

/** What a job printed. Lines in sight are in the page, be the log 100 MB. */
type Props = { id: string; ended: boolean; first: string; found: (search: string) => void };

export default function Logs({ id, ended, first, found: keep }: Props) {
  const { lines, complete, problem } = useLog(id, ended);
  const box = useRef<HTMLDivElement>(null);
  const [follows, setFollows] = useState(true);
  const [search, setSearch] = useState(first);
  const [place, setPlace] = useState(0);
  const count = lines.length;
  const virtual = useVirtualizer({ count, getScrollElement: () => box.current, estimateSize: () => LINE_PX, overscan: 20 });

  const found = useMemo(() => {
    const wanted = search.toLowerCase();
    const places: number[] = [];
    if (wanted === "") return places;
    for (let at = 0; at < count && places.length < FOUND_MAX; at++) {
      if (bare(lines[at]?.text ?? "").toLowerCase().includes(wanted)) places.push(at);
    }
    return places;
  }, [search, lines, count]);

  useEffect(() => {
    if (follows && search === "" && count > 0) virtual.scrollToIndex(count - 1, { align: "end" });
  }, [follows, search, count, virtual]);

  function show(next: number) {
    const bounded = found.length === 0 ? 0 : (next + found.length) % found.length;
    setPlace(bounded);
    setFollows(false);
    if (found[bounded] !== undefined) virtual.scrollToIndex(found[bounded], { align: "center" });
  }

  async function download() {
    const blob = await (await ask("GET", `${job(id)}/logs`, { headers: { Accept: "text/plain" } })).blob();
    save(`${id}.log`, blob.type, blob);
  }

  return (
    <section>
      <div className="row">
        <input
          data-search
          className="search"
          aria-label="Search in the log"
          placeholder="search ( / ), Enter for the next"
          value={search}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
            keep(event.currentTarget.value);
            setPlace(0);
          }}
          onKeyDown={(event) => event.key === "Enter" && show(place + (event.shiftKey ? -1 : 1))}
        />
        {search !== "" && (
          <span role="status">
            {found.length === 0 ? "not there" : `${place + 1} of ${found.length}${found.length === FOUND_MAX ? "+" : ""}`}
          </span>
        )}
        <span className="grow" />
        <span className="dim" role="status">
          {count.toLocaleString()} lines{complete ? "" : ", following"}
        </span>
        <label>
          <input type="checkbox" checked={follows} onChange={(event) => setFollows(event.currentTarget.checked)} /> keep to the end
        </label>
        <Button size="compact-sm" variant="default" onClick={() => void download()}>
          Download
        </Button>
      </div>
      {problem && <Trouble error={problem} />}
      <div
        className="log mono"
        ref={box}
        tabIndex={0}
        role="log"
        aria-label="Log"
        aria-live="off"
        onWheel={(event) => event.deltaY < 0 && setFollows(false)}
      >
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            return (
              line && (
                <div key={item.key} className="line" data-stream={line.stream} data-found={found[place] === item.index || undefined} style={{ transform: `translateY(${item.start}px)` }}>
                  <span className="number" aria-hidden>
                    {item.index + 1}
                  </span>
                  <Text line={line} />
                </div>
              )
            );
          })}
        </div>
      </div>
    </section>
  );
}

function Text({ line }: { line: Line }) {
  return (
    <span className="theirs text">
      {pieces(line.text, line.style).pieces.map((piece, place) => (
        <span key={place} style={drawn(piece.style)}>
          {piece.text}
        </span>
      ))}
    </span>
  );
}

function drawn({ color, background, bold, dim, underline, inverse }: Style): React.CSSProperties {
  const [front, back] = inverse ? [background ?? 15, color ?? 0] : [color, background];
  return {
    ...(front !== undefined && { color: hex(front) }),
    ...(back !== undefined && { background: hex(back) }),
    ...(bold && { fontWeight: 700 }),
    ...(dim && { opacity: 0.7 }),
    ...(underline && { textDecoration: "underline" }),
  };
}
