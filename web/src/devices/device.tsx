import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Database } from "lucide-react";
import type { DeviceDetail, Stream } from "../api/types";
import { queries } from "../api/queries";
import { useNow } from "../app/now";
import { Page } from "../app/page";
import { ago } from "../format/time";
import { tableName, literal } from "../sql/quote";
import { APPROVAL_TONE, Badge, Dot } from "../ui/badge";
import { LinkButton } from "../ui/button";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { ApprovalButtons } from "./approval";
import { Certificates } from "./certificates";
import { chartsOf, ownFirst } from "./charts";
import { LastValues } from "./last-values";
import { PropertyChart } from "./property-chart";
import { RawTail } from "./raw-tail";
import { DeviceToken } from "./device-token";

const route = getRouteApi("/inside/devices/$id");

export function DeviceScreen() {
  const { id } = route.useParams();
  const device = useQuery(queries.device(id));
  const streams = useQuery(queries.streams).data ?? [];
  const ordered = device.data && ownFirst(device.data, streams);
  const first = ordered?.streams[0];
  return (
    <Page
      title={id}
      sub={device.data && <Seen device={device.data} />}
      hasRange
      actions={
        first && (
          <LinkButton
            to="/explore"
            search={{ q: `SELECT * FROM ${tableName(first)} WHERE device = ${literal(id)} ORDER BY ts DESC LIMIT 100` }}
            icon={<Database size={14} aria-hidden />}
          >
            Query
          </LinkButton>
        )
      }
    >
      {ordered ? (
        <Content device={ordered} streams={streams} />
      ) : device.error ? (
        <ProblemNote error={device.error} />
      ) : (
        <Panel title="Charts">
          <Loading rows={8} />
        </Panel>
      )}
    </Page>
  );
}

function Seen({ device }: { device: DeviceDetail }) {
  const now = useNow(1000);
  return (
    <span className="inline-flex items-center gap-1.5">
      <Dot tone={device.online ? "ok" : "mute"} />
      {device.online ? "online" : "silent"} · {device.site ? `${device.site} · ` : ""}last seen {ago(device.last_seen, now)}
    </span>
  );
}

function Content({ device, streams }: { device: DeviceDetail; streams: readonly Stream[] }) {
  const charts = chartsOf(device, streams);
  const hasManyStreams = new Set(charts.map((chart) => chart.stream)).size > 1;
  return (
    <>
      {device.state === "pending" && (
        <div className="mb-4 flex flex-wrap items-center gap-3 rounded-xl border border-warn/40 bg-warn/8 px-4 py-2.5 text-[13px]">
          This device waits for your approval. Its readings are kept and charted meanwhile.
          <span className="ml-auto">
            <ApprovalButtons id={device.id} />
          </span>
        </div>
      )}
      <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,1fr)_340px]">
        <div className={`grid min-w-0 gap-4 ${charts.length > 1 ? "md:grid-cols-2" : ""}`}>
          {charts.map((chart) => (
            <PropertyChart
              key={`${chart.stream}.${chart.property}`}
              device={device.id}
              {...chart}
              bornAt={device.created_at}
              title={hasManyStreams ? `${chart.stream} · ${chart.property}` : chart.property}
            />
          ))}
          {charts.length === 0 && (
            <Panel title="Charts">
              <p className="px-4 py-6 text-[13px] leading-relaxed text-mute">
                {device.latest.length > 0
                  ? "This device sends no numbers; its values are beside and its messages below."
                  : "Nothing has come from this device yet. "}
                {device.latest.length === 0 && (
                  <Link to="/connect" className="text-accent underline underline-offset-2">
                    How to send
                  </Link>
                )}
              </p>
            </Panel>
          )}
        </div>
        <div className="grid gap-4">
          <LastValues device={device} />
          <Panel title="Access" hint={<Badge tone={APPROVAL_TONE[device.state]}>{device.state}</Badge>}>
            <DeviceToken id={device.id} hasOwn={device.tokens.length > 0} />
          </Panel>
          <Certificates id={device.id} />
        </div>
      </div>
      <RawTail device={device.id} streams={device.streams} />
    </>
  );
}
