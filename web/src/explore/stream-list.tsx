import { ChevronRight } from "lucide-react";
import type { Stream } from "../api/types";
import { count } from "../format/number";
import { tableName } from "../sql/quote";
import { Panel } from "../ui/panel";

/** The tables there are, with their columns; a click asks for the newest rows. */
export function StreamList({ streams, onPick }: { streams: readonly Stream[]; onPick: (query: string) => void }) {
  return (
    <Panel title="Streams" hint={streams.length > 0 ? String(streams.length) : undefined}>
      <ul className="max-h-95 overflow-y-auto" tabIndex={0} aria-label="Streams and columns">
        {streams.map((stream) => (
          <li key={stream.name} className="border-b border-line/50 last:border-0">
            <details className="group">
              <summary className="flex h-9 list-none items-center gap-2 px-4 text-[13px] hover:bg-raised/50">
                <ChevronRight size={13} className="shrink-0 text-mute transition-transform group-open:rotate-90" aria-hidden />
                <span className="truncate">{stream.name}</span>
                <span className="ml-auto text-[12px] text-mute tabular-nums">{count(stream.rows)}</span>
              </summary>
              <ul className="pb-2 pl-9 pr-4 text-[12px]">
                {stream.columns.map((column) => (
                  <li key={column.name} className="flex h-6 items-center gap-2">
                    <span className="truncate font-mono">{column.name}</span>
                    <span className="ml-auto text-mute">{column.unit ? `${column.type}, ${column.unit}` : column.type}</span>
                  </li>
                ))}
                <li>
                  <button
                    type="button"
                    className="mt-1 text-accent hover:underline"
                    onClick={() => onPick(`SELECT * FROM ${tableName(stream.name)} ORDER BY ts DESC LIMIT 100`)}
                  >
                    Newest rows
                  </button>
                </li>
              </ul>
            </details>
          </li>
        ))}
        {streams.length === 0 && <li className="px-4 py-4 text-[13px] text-mute">Streams appear with the first message.</li>}
      </ul>
    </Panel>
  );
}
