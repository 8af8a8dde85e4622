import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { BellRing, Cable, UserCheck } from "lucide-react";
import type { Overview as Figures } from "../api/types";
import { queries } from "../api/queries";
import { Page } from "../app/page";
import { count, plural } from "../format/number";
import { LinkButton } from "../ui/button";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { ActivityPanel, PipelinesPanel, RoomsPanel } from "./panels";
import { DeviceCards } from "./device-cards";
import { energySources, type Source } from "./energy";
import { EnergyView } from "./energy-view";

/** The person's things, alive. */
export function Overview() {
  const overview = useQuery(queries.overview);
  const streams = useQuery(queries.streams);
  const figures = overview.data;
  return (
    <Page title="Overview" sub={figures && figures.devices > 0 ? subtitle(figures) : undefined} hasRange>
      {figures && streams.data ? (
        <Content figures={figures} sources={energySources(streams.data)} />
      ) : overview.error || streams.error ? (
        <ProblemNote error={overview.error ?? streams.error} />
      ) : (
        <Panel title="Overview">
          <Loading rows={8} />
        </Panel>
      )}
    </Page>
  );
}

function Content({ figures, sources }: { figures: Figures; sources: readonly Source[] }) {
  if (figures.devices === 0) return <FirstDevice />;
  const hasEnergy = sources.some((source) => source.role !== "home") || figures.energy !== null;
  return (
    <>
      <Waiting />
      <Firing amount={figures.alerts_firing} />
      {hasEnergy && sources.length > 0 ? <EnergyView sources={sources} energy={figures.energy} /> : <DeviceCards />}
      <div className="mt-4 grid items-start gap-4 lg:grid-cols-2 xl:grid-cols-3">
        {figures.rooms.length > 0 && <RoomsPanel rooms={figures.rooms} />}
        <PipelinesPanel />
        <ActivityPanel activity={figures.activity} />
      </div>
    </>
  );
}

function subtitle(figures: Figures): string {
  const parts = [
    `${plural(figures.devices_online, "device")} online`,
    `${plural(Math.round(figures.readings_per_minute), "reading")}/min`,
  ];
  if (figures.ingest_to_page_ms_p99 !== null) parts.push(`p99 ingest → page ${Math.max(1, Math.round(figures.ingest_to_page_ms_p99))} ms`);
  return parts.join(" · ");
}

/** The one next step when somebody knocks. */
function Waiting() {
  const waiting = (useQuery(queries.devices).data ?? []).filter((device) => device.state === "pending");
  const first = waiting[0];
  if (!first) return null;
  return (
    <div className="mb-4 flex flex-wrap items-center gap-3 rounded-xl border border-warn/40 bg-warn/8 px-4 py-2.5 text-[13px]">
      <UserCheck size={16} className="text-warn" aria-hidden />
      <span>
        {waiting.length === 1 ? (
          <>
            <b className="font-medium">{first.id}</b> sends for the first time and waits for your approval.
          </>
        ) : (
          `${waiting.length} devices send for the first time and wait for your approval.`
        )}
      </span>
      <Link to="/devices" search={{ state: "pending" }} className="ml-auto font-medium text-accent hover:underline">
        Look at them
      </Link>
    </div>
  );
}

/** What has begun and is not over. */
function Firing({ amount }: { amount: number }) {
  if (amount === 0) return null;
  return (
    <div className="mb-4 flex flex-wrap items-center gap-3 rounded-xl border border-bad/40 bg-bad/8 px-4 py-2.5 text-[13px]">
      <BellRing size={16} className="text-bad" aria-hidden />
      <span>{amount === 1 ? "An alert is firing." : `${count(amount)} alerts are firing.`}</span>
      <Link to="/alerts" className="ml-auto font-medium text-accent hover:underline">
        Look at {amount === 1 ? "it" : "them"}
      </Link>
    </div>
  );
}

function FirstDevice() {
  return (
    <Panel title="Welcome" className="mx-auto max-w-3xl">
      <Empty
        icon={<Cable size={20} />}
        title="Connect your first device"
        action={
          <LinkButton to="/connect" look="primary">
            Connect a device
          </LinkButton>
        }
      >
        Give it a name, paste one line into a terminal, and its readings are charted here as they come. Anything that speaks
        MQTT or HTTP will do. The readings stay on this machine.
      </Empty>
    </Panel>
  );
}
