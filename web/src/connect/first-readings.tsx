import { useQuery } from "@tanstack/react-query";
import { CircleCheck } from "lucide-react";
import { queries } from "../api/queries";
import { chartsOf } from "../devices/charts";
import { LastValues } from "../devices/last-values";
import { PropertyChart } from "../devices/property-chart";

const SHOWN = 4;

/** What the wait turns into: the device's charts, moving. */
export function FirstReadings({ device }: { device: string }) {
  const detail = useQuery({ ...queries.device(device), refetchInterval: 1000 }).data;
  const streams = useQuery({ ...queries.streams, refetchInterval: 1000 }).data ?? [];
  const bornAt = detail?.created_at ?? "";
  const charts = detail ? chartsOf(detail, streams).slice(0, SHOWN) : [];
  return (
    <section aria-label="First readings" className="grid gap-4" data-charts={charts.length}>
      <p role="status" className="flex items-center gap-3 rounded-xl border border-ok/40 bg-ok/8 px-4 py-3 text-[13px]">
        <CircleCheck size={16} className="text-ok" aria-hidden />
        <span>
          <b className="font-medium">{device}</b> is connected. Its readings are stored and charted.
        </span>
      </p>
      <div className={`grid gap-4 ${charts.length > 1 ? "sm:grid-cols-2" : ""}`}>
        {charts.map((chart) => (
          <PropertyChart key={`${chart.stream}.${chart.property}`} device={device} {...chart} title={chart.property} bornAt={bornAt} />
        ))}
      </div>
      {detail && charts.length === 0 && <LastValues device={detail} />}
    </section>
  );
}
