import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import {
  Activity, Bell, BookOpenText, Boxes, Cpu, Database, GitBranch, House, Inbox, KeyRound, Plus, Radio, ShieldCheck, type LucideIcon,
} from "lucide-react";
import { queries } from "../api/queries";
import { count } from "../format/number";

export const PLACES: { to: string; label: string; icon: LucideIcon; badge?: "alerts_open" | "quarantined" }[] = [
  { to: "/", label: "Overview", icon: House },
  { to: "/devices", label: "Devices", icon: Cpu },
  { to: "/live", label: "Live stream", icon: Radio },
  { to: "/pipelines", label: "Pipelines", icon: GitBranch },
  { to: "/explore", label: "Explore", icon: Database },
  { to: "/alerts", label: "Alerts", icon: Bell, badge: "alerts_open" },
  { to: "/quarantine", label: "Quarantine", icon: Inbox, badge: "quarantined" },
  { to: "/streams", label: "Streams", icon: Boxes },
  { to: "/access", label: "Access", icon: KeyRound },
  { to: "/reference", label: "API", icon: BookOpenText },
];

const ITEM =
  "flex h-8 items-center gap-2.5 rounded-md px-2.5 text-[13px] text-mute hover:bg-raised/60 hover:text-ink aria-[current=page]:bg-raised aria-[current=page]:font-medium aria-[current=page]:text-ink max-md:h-10";

export function Navigation({ onNavigate }: { onNavigate?: () => void }) {
  const me = useQuery(queries.me).data;
  const overview = useQuery(queries.overview).data;
  return (
    <nav aria-label="Main" className="flex h-full flex-col gap-0.5 overflow-y-auto bg-panel p-3">
      <Link to="/" onClick={onNavigate} className="mb-3 flex items-center gap-2.5 rounded-md px-2 py-2">
        <span className="grid size-7 place-items-center rounded-lg bg-accent/15 text-accent">
          <Activity size={16} aria-hidden />
        </span>
        <span>
          <span className="block font-semibold leading-tight">Springhouse</span>
          <span className="block text-[11px] leading-tight text-mute">{me?.tenant ?? "main"} · this machine</span>
        </span>
      </Link>
      {PLACES.map(({ to, label, icon: Icon, badge }) => {
        const amount = badge && overview ? overview[badge] : 0;
        return (
          <Link key={to} to={to} onClick={onNavigate} activeOptions={{ exact: to === "/", includeSearch: false }} className={ITEM}>
            <Icon size={15} aria-hidden />
            {label}
            {amount > 0 && (
              <span className={`ml-auto rounded-full px-1.5 text-[11px] ${badge === "alerts_open" ? "bg-bad/20 text-bad" : "bg-warn/15 text-warn"}`}>
                {count(amount)}
                <span className="sr-only"> waiting</span>
              </span>
            )}
          </Link>
        );
      })}
      <Link
        to="/connect"
        onClick={onNavigate}
        className="mt-3 flex h-8 items-center gap-2.5 rounded-md border border-accent/40 px-2.5 text-[13px] text-accent hover:bg-accent/10 aria-[current=page]:bg-accent/12 max-md:h-10"
      >
        <Plus size={15} aria-hidden />
        Connect a device
      </Link>
      <PrivacyCard outbound={overview?.outbound_connections} />
    </nav>
  );
}

function PrivacyCard({ outbound }: { outbound: number | undefined }) {
  const leaves = (outbound ?? 0) > 0;
  return (
    <div className="mt-auto pt-4">
      <div className="rounded-lg border border-line p-2.5 text-[12px] text-mute">
        <div className={`flex items-center gap-1.5 font-medium ${leaves ? "text-warn" : "text-ok"}`}>
          <ShieldCheck size={13} aria-hidden />
          {leaves ? "Connections you set up" : "Nothing leaves this box"}
        </div>
        <div className="mt-1">
          {outbound === undefined ? "counting connections…" : `${outbound} outbound connection${outbound === 1 ? "" : "s"}`}
        </div>
      </div>
    </div>
  );
}
