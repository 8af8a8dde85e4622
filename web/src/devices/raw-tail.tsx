import { Link } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import type { Row } from "../api/types";
import { clock, parse } from "../format/time";
import { RowBuffer, type LiveRow } from "../tail/rows";
import { useTail } from "../tail/use-tail";
import { Panel } from "../ui/panel";
import { exactRow } from "../live/decode";

const SHOWN = 12;

/** The newest messages of one device as they are stored, above which new ones appear. */
export function RawTail({ device, streams }: { device: string; streams: readonly string[] }) {
  const buffer = useRef(new RowBuffer(SHOWN));
  const [rows, setRows] = useState<LiveRow[]>([]);
  const seed = useQuery({
    queryKey: ["raw", device, streams.join()],
    enabled: streams.length > 0,
    queryFn: async () => {
      const tables = await Promise.all(
        streams.map(async (stream) => ({ stream, table: await api.readings(stream, { device, limit: SHOWN }) })),
      );
      return tables
        .flatMap(({ stream, table }) =>
          table.rows.map((row) => ({ stream, row: Object.fromEntries(table.columns.map((column, index) => [column.name, row[index]])) as Row })),
        )
        .toSorted((a, b) => String(a.row.ts).localeCompare(String(b.row.ts)));
    },
    staleTime: Infinity,
  });
  useEffect(() => {
    if (!seed.data || buffer.current.received > 0) return;
    for (const { stream, row } of seed.data) buffer.current.push({ stream, rows: [row], dropped: 0 });
    setRows(buffer.current.newest());
  }, [seed.data]);
  useTail({
    streams,
    device,
    onFrame: (frame) => {
      const ours = frame.rows.filter((row) => row.device === undefined || row.device === device);
      if (ours.length === 0) return;
      buffer.current.push({ ...frame, rows: ours });
      setRows(buffer.current.newest());
    },
  });
  if (streams.length === 0) return null;
  return (
    <Panel
      title="Raw tail"
      className="mt-4"
      hint={
        <Link to="/live" search={{ stream: streams[0], device }} className="hover:text-accent">
          Open in Live stream →
        </Link>
      }
    >
      <ol className="divide-y divide-line/50 font-mono text-[12px]" aria-label="Newest messages">
        {rows.map(({ id, stream, row }) => (
          <li key={id} className="flex h-8 items-center gap-4 px-4">
            <span className="shrink-0 text-mute">{timeOf(row)}</span>
            <span className="w-20 shrink-0 truncate text-accent max-sm:hidden">{stream}</span>
            <span className="truncate" title={exactRow(row)}>
              {exactRow(row)}
            </span>
          </li>
        ))}
        {rows.length === 0 && <li className="px-4 py-5 font-sans text-[13px] text-mute">Waiting for a message…</li>}
      </ol>
    </Panel>
  );
}

function timeOf(row: Row): string {
  const at = parse(String(row.ts));
  return at ? clock(at, true) : "–";
}
