import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Cable, Plus } from "lucide-react";
import { useState } from "react";
import type { Approval, Device } from "../api/types";
import { queries } from "../api/queries";
import { useNow } from "../app/now";
import { Page } from "../app/page";
import { ago } from "../format/time";
import { plural } from "../format/number";
import { APPROVAL_TONE, Badge, Dot } from "../ui/badge";
import { LinkButton } from "../ui/button";
import { Choice } from "../ui/choice";
import { SearchField } from "../ui/field";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Table, type ColumnView, type Sorting } from "../ui/table";
import { ApprovalButtons } from "./approval";
import { filterDevices } from "./filter";

const route = getRouteApi("/inside/devices");
/** Rows drawn at first; the rest come by a button, so that ten thousand devices do not freeze the page. */
const SHOWN_STEP = 200;

export function Devices() {
  const devices = useQuery(queries.devices);
  const { q, state } = route.useSearch();
  const navigate = route.useNavigate();
  const [sorting, setSorting] = useState<Sorting>({ id: "device", down: false });
  const [shown, setShown] = useState(SHOWN_STEP);
  const now = useNow(1000);
  const all = devices.data ?? [];
  const found = filterDevices(all, q, state);
  const pending = all.filter((device) => device.state === "pending").length;
  const online = all.filter((device) => device.online).length;
  return (
    <Page
      title="Devices"
      sub={all.length > 0 ? `${plural(all.length, "device")} · ${online} online${pending > 0 ? ` · ${pending} waiting` : ""}` : undefined}
      actions={
        <LinkButton to="/connect" look="primary" icon={<Plus size={15} aria-hidden />}>
          Connect a device
        </LinkButton>
      }
    >
      <div className="mb-4 flex flex-wrap gap-2">
        <SearchField
          label="Search by name, site or stream"
          className="w-full sm:w-80"
          value={q ?? ""}
          onChange={(event) => {
            const text = event.target.value;
            void navigate({ search: (before) => ({ ...before, q: text || undefined }), replace: true });
          }}
        />
        <Choice<Approval | "">
          label="State"
          value={state ?? ""}
          options={[
            { value: "", label: "Every state" },
            { value: "pending", label: `Waiting for approval (${pending})` },
            { value: "approved", label: "Approved" },
            { value: "refused", label: "Refused" },
          ]}
          onChange={(next) => void navigate({ search: (before) => ({ ...before, state: next || undefined }) })}
        />
      </div>
      <Panel title="Devices" label="Devices" hint={found.length === all.length ? undefined : `${found.length} of ${all.length}`}>
        {devices.error && !devices.data ? (
          <div className="p-4">
            <ProblemNote error={devices.error} />
          </div>
        ) : !devices.data ? (
          <Loading rows={8} />
        ) : all.length === 0 ? (
          <NoDevices />
        ) : found.length === 0 ? (
          <p className="px-4 py-8 text-center text-[13px] text-mute">No device matches.</p>
        ) : (
          <>
            <Table
              label="Devices"
              columns={columns(now)}
              rows={found.slice(0, shown)}
              rowKey={(device) => device.id}
              sorting={sorting}
              onSort={setSorting}
            />
            {found.length > shown && (
              <button
                type="button"
                className="w-full border-t border-line/50 py-2.5 text-[12px] text-mute hover:text-ink"
                onClick={() => setShown(shown + SHOWN_STEP)}
              >
                Show {Math.min(SHOWN_STEP, found.length - shown)} more of {found.length}
              </button>
            )}
          </>
        )}
      </Panel>
    </Page>
  );
}

function columns(now: number): ColumnView<Device>[] {
  return [
    {
      id: "device",
      title: "Device",
      sort: (device) => device.id,
      cell: (device) => (
        <span className="flex items-center gap-3">
          <Dot tone={device.online ? "ok" : "mute"} label={device.online ? "online" : "silent"} />
          <Link to="/devices/$id" params={{ id: device.id }} className="font-medium hover:text-accent">
            {device.id}
          </Link>
        </span>
      ),
    },
    { id: "site", title: "Site", wide: true, sort: (device) => device.site, cell: (device) => <span className="text-mute">{device.site ?? "–"}</span> },
    {
      id: "streams",
      title: "Streams",
      wide: true,
      cell: (device) => <span className="text-mute">{device.streams.length > 0 ? device.streams.join(", ") : "–"}</span>,
    },
    {
      id: "seen",
      title: "Last seen",
      sort: (device) => device.last_seen,
      cell: (device) => <span className="text-mute">{ago(device.last_seen, now)}</span>,
    },
    {
      id: "state",
      title: "State",
      sort: (device) => device.state,
      cell: (device) => (
        <span className="flex items-center gap-3">
          <Badge tone={APPROVAL_TONE[device.state]}>{device.state}</Badge>
          {device.state === "pending" && <ApprovalButtons id={device.id} />}
        </span>
      ),
    },
  ];
}

function NoDevices() {
  return (
    <Empty
      icon={<Cable size={20} />}
      title="No device yet"
      action={
        <LinkButton to="/connect" look="primary">
          Connect a device
        </LinkButton>
      }
    >
      A device appears here with its first message. The wizard gives it a name, a token and the line to paste.
    </Empty>
  );
}
