import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef } from "react";
import type { Table } from "../api/types";
import { cell, number } from "../format/number";
import { clock, day, parse } from "../format/time";
import { isNumeric, isTime } from "../streams/columns";
import { cx } from "../ui/cx";

const ROW_HEIGHT = 34;

/** The rows of an answer; only those in view are drawn, so that a hundred thousand scroll. */
export function ResultTable({ table, label, maxHeight = 480 }: { table: Table; label: string; maxHeight?: number }) {
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: table.rows.length, getScrollElement: () => scroll.current, estimateSize: () => ROW_HEIGHT, overscan: 12 });
  const items = rows.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = rows.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    <div ref={scroll} tabIndex={0} role="group" aria-label={label} className="more-aside overflow-auto rounded-b-xl" style={{ maxHeight }}>
      <table aria-label={label} aria-rowcount={table.rows.length + 1} className="w-full border-separate border-spacing-0 text-[13px] tabular-nums">
        <thead>
          <tr>
            {table.columns.map((column) => (
              <th
                key={column.name}
                scope="col"
                className={cx(
                  "sticky top-0 z-10 h-9 whitespace-nowrap border-b border-line/70 bg-panel px-4 text-[12px] font-normal text-mute",
                  isNumeric(column) ? "text-right" : "text-left",
                )}
              >
                {column.name}
                {column.unit && <span> ({column.unit})</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Spacer height={before} columns={table.columns.length} />}
          {items.map((item) => (
            <tr key={item.key} aria-rowindex={item.index + 2} className="hover:bg-raised/40">
              {table.columns.map((column, index) => (
                <td
                  key={column.name}
                  className={cx("max-w-90 truncate border-b border-line/40 px-4", isNumeric(column) && "text-right")}
                  style={{ height: ROW_HEIGHT }}
                >
                  {text(table.rows[item.index]?.[index], column)}
                </td>
              ))}
            </tr>
          ))}
          {after > 0 && <Spacer height={after} columns={table.columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

function Spacer({ height, columns }: { height: number; columns: number }) {
  return (
    <tr aria-hidden>
      <td colSpan={columns} style={{ height, padding: 0 }} />
    </tr>
  );
}

function text(value: unknown, column: Table["columns"][number]): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return isNumeric(column) ? number(value) : String(value);
  if (isTime(column) && typeof value === "string") {
    const at = parse(value);
    return at ? `${day(at)} ${clock(at, at.getMilliseconds() !== 0)}` : value;
  }
  return cell(value);
}
