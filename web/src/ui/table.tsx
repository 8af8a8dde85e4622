import { ArrowDown, ArrowUp } from "lucide-react";
import type { ReactNode } from "react";
import { cx } from "./cx";

export interface ColumnView<T> {
  id: string;
  /** Empty for a column of buttons, which name themselves. */
  title: string;
  cell: (row: T) => ReactNode;
  align?: "right";
  /** Sorting key; a column without one cannot be sorted. */
  sort?: (row: T) => string | number | null;
  /** Left out on a phone. */
  wide?: boolean;
  className?: string;
}
export interface Sorting {
  id: string;
  down: boolean;
}
interface Props<T> {
  label: string;
  columns: readonly ColumnView<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  sorting?: Sorting;
  onSort?: (sorting: Sorting) => void;
}

export function sorted<T>(rows: readonly T[], columns: readonly ColumnView<T>[], sorting: Sorting | undefined): readonly T[] {
  const key = columns.find((column) => column.id === sorting?.id)?.sort;
  if (!key || !sorting) return rows;
  const sign = sorting.down ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === y) return 0;
    // What has no value comes last in both directions.
    if (x === null) return 1;
    if (y === null) return -1;
    return sign * (typeof x === "string" && typeof y === "string" ? x.localeCompare(y) : x < y ? -1 : 1);
  });
}

export function Table<T>({ label, columns, rows, rowKey, sorting, onSort }: Props<T>) {
  const at = (column: ColumnView<T>): string =>
    cx("px-4 max-md:px-3", column.align === "right" && "text-right", column.wide && "max-md:hidden", column.className);
  return (
    <div className="more-aside relative overflow-x-auto rounded-b-xl" tabIndex={0} role="group" aria-label={label}>
      <table className="w-full text-[13px] tabular-nums" aria-label={label}>
        <thead className="text-left text-[12px] text-mute">
          <tr>
            {columns.map((column) => {
              const active = sorting?.id === column.id;
              const order = active ? (sorting.down ? "descending" : "ascending") : undefined;
              return (
                <th key={column.id} scope="col" aria-sort={order} className={cx("h-9 whitespace-nowrap font-normal", at(column))}>
                  {column.sort && onSort ? (
                    <button
                      type="button"
                      className="inline-flex items-center gap-1 rounded hover:text-ink"
                      onClick={() => onSort({ id: column.id, down: active ? !sorting.down : false })}
                    >
                      {column.title}
                      {active && (sorting.down ? <ArrowDown size={12} aria-hidden /> : <ArrowUp size={12} aria-hidden />)}
                    </button>
                  ) : (
                    column.title || <span className="sr-only">Actions</span>
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {sorted(rows, columns, sorting).map((row) => (
            <tr key={rowKey(row)} className="border-t border-line/50 hover:bg-raised/40">
              {columns.map((column) => (
                <td key={column.id} className={cx("h-11 whitespace-nowrap", at(column))}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
