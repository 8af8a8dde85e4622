import { useVirtualizer } from "@tanstack/react-virtual";
import { Link } from "@tanstack/react-router";
import { useRef } from "react";
import { clock, parse } from "../format/time";
import type { LiveRow } from "../tail/rows";
import { compactRow, rawRow } from "./decode";

const ROW_HEIGHT = 32;

/** Newest first; only what is in view is drawn. */
export function LiveRows({ rows, isRaw, hasStream }: { rows: readonly LiveRow[]; isRaw: boolean; hasStream: boolean }) {
  const scroll = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 10,
  });
  if (rows.length === 0) return <p className="px-4 py-8 text-center text-[13px] text-mute">Waiting for rows…</p>;
  return (
    <div ref={scroll} tabIndex={0} role="group" aria-label="Live rows" data-rows={rows.length} className="h-[calc(100dvh-250px)] min-h-80 overflow-auto">
      <ol className="relative font-mono text-[12px]" style={{ height: list.getTotalSize() }} aria-label="Rows, newest first">
        {list.getVirtualItems().map((item) => {
          const entry = rows[item.index];
          if (!entry) return null;
          const device = typeof entry.row.device === "string" ? entry.row.device : null;
          const site = typeof entry.row.site === "string" ? entry.row.site : null;
          const at = parse(String(entry.row.ts));
          return (
            <li
              key={item.key}
              className="absolute inset-x-0 flex items-center gap-4 border-b border-line/40 px-4 hover:bg-raised/40"
              style={{ height: ROW_HEIGHT, transform: `translateY(${item.start}px)` }}
            >
              <span className="shrink-0 text-mute">{at ? clock(at, true) : "–"}</span>
              {hasStream && <span className="w-24 shrink-0 truncate text-accent max-md:hidden">{entry.stream}</span>}
              <span className="w-44 shrink-0 truncate max-sm:w-28">
                {device !== null ? (
                  <Link to="/devices/$id" params={{ id: device }} className="hover:text-accent">
                    {device}
                  </Link>
                ) : (
                  site
                )}
              </span>
              <span className="truncate text-mute">{isRaw ? rawRow(entry.row) : compactRow(entry.row)}</span>
            </li>
          );
        })}
      </ol>
    </div>
  );
}
