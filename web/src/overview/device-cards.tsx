import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Device } from "../api/types";
import { queries } from "../api/queries";
import { useRange } from "../app/range";
import { Sparkline } from "../chart/sparkline";
import { useDeviceSeries, seriesPoints } from "../devices/use-series";
import { isNumeric } from "../streams/columns";
import { number } from "../format/number";
import { ago } from "../format/time";
import { Dot } from "../ui/badge";

const SHOWN = 9;

/** The devices that spoke last, each with its first figure. */
export function DeviceCards() {
  const devices = useQuery(queries.devices).data ?? [];
  const newest = devices
    .filter((device) => device.state !== "refused")
    .toSorted((a, b) => (b.last_seen ?? "").localeCompare(a.last_seen ?? ""))
    .slice(0, SHOWN);
  return (
    <div className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
      {newest.map((device) => (
        <DeviceCard key={device.id} device={device} />
      ))}
    </div>
  );
}

function DeviceCard({ device }: { device: Device }) {
  const detail = useQuery(queries.device(device.id)).data;
  const range = useRange();
  const first = detail?.latest.find((latest) => typeof latest.value === "number");
  const streams = useQuery(queries.streams).data ?? [];
  const column = streams
    .find((stream) => stream.name === (first?.stream ?? device.streams[0]))
    ?.columns.find((candidate) => candidate.name === first?.property || (!first && isNumeric(candidate)));
  return (
    <Link
      to="/devices/$id"
      params={{ id: device.id }}
      className="block rounded-xl border border-line bg-panel p-4 hover:border-edge"
      aria-label={`Device ${device.id}`}
    >
      <div className="flex items-center gap-2 text-[13px]">
        <Dot tone={device.online ? "ok" : "mute"} label={device.online ? "online" : "silent"} />
        <span className="truncate font-medium">{device.id}</span>
        <span className="ml-auto whitespace-nowrap text-[12px] text-mute">{ago(device.last_seen)}</span>
      </div>
      {first ? (
        <>
          <div className="mt-3 flex items-baseline gap-1">
            <span className="text-[24px] font-semibold tracking-tight tabular-nums">{number(Number(first.value))}</span>
            <span className="text-[13px] text-mute">{first.unit ?? column?.unit}</span>
            <span className="ml-auto text-[12px] text-mute">{first.property}</span>
          </div>
          <CardSpark device={device.id} stream={first.stream} property={first.property} key={range.id} />
        </>
      ) : (
        <p className="mt-3 text-[13px] text-mute">
          {detail?.latest.length ? detail.latest.slice(0, 3).map((latest) => `${latest.property} ${String(latest.value)}`).join(" · ") : "No reading yet"}
        </p>
      )}
    </Link>
  );
}

function CardSpark({ device, stream, property }: { device: string; stream: string; property: string }) {
  const range = useRange();
  const series = useDeviceSeries({ device, stream, property, range, points: 80 });
  return <Sparkline points={seriesPoints(series)} />;
}
