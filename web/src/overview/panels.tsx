import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Pause, Play, TriangleAlert } from "lucide-react";
import type { Activity, Room } from "../api/types";
import { queries } from "../api/queries";
import { count, fixed } from "../format/number";
import { moment, parse, clock, day } from "../format/time";
import { lagText, perMinute } from "../pipelines/figures";
import { Dot } from "../ui/badge";
import { cx } from "../ui/cx";
import { Panel } from "../ui/panel";

const SHOWN = 6;
/** Where the hub takes the rooms from. */
const ROOMS_STREAM = "climate";
const ROW = "flex h-11 items-center border-b border-line/50 px-4 last:border-0";

export function RoomsPanel({ rooms }: { rooms: readonly Room[] }) {
  const columns = (useQuery(queries.streams).data ?? []).find((stream) => stream.name === ROOMS_STREAM)?.columns ?? [];
  const unit = (property: string): string | null => columns.find((column) => column.name === property)?.unit || null;
  const [degrees, humid] = [unit("temperature"), unit("humidity")];
  const manySites = new Set(rooms.map((room) => room.site)).size > 1;
  return (
    <Panel title={manySites ? "Homes" : "Rooms"} hint="temperature · humidity">
      {rooms.slice(0, SHOWN).map((room) => (
        <Link key={room.device} to="/devices/$id" params={{ id: room.device }} className={cx(ROW, "hover:bg-raised/50")}>
          <Dot tone={comfort(room.temperature, degrees)} label={`Comfort of ${room.device}`} />
          <span className="ml-3 min-w-0 truncate">{room.device}</span>
          <span className="ml-auto whitespace-nowrap pl-3 tabular-nums">{room.temperature === null ? "–" : withUnit(fixed(room.temperature, 1), degrees)}</span>
          <span className="min-w-14 whitespace-nowrap pl-3 text-right text-mute tabular-nums">{room.humidity === null ? "" : withUnit(fixed(room.humidity, 0), humid)}</span>
        </Link>
      ))}
      {rooms.length > SHOWN && <More to="/devices" text={`All ${count(rooms.length)}`} />}
    </Panel>
  );
}

function withUnit(figure: string, unit: string | null): string {
  return unit === null ? figure : `${figure} ${unit}`;
}

/** Green where people are comfortable, by the range of EN 16798-1 category II in winter and summer; nothing is said of
 *  what is not in °C. */
function comfort(celsius: number | null, unit: string | null): "ok" | "warn" | "mute" {
  if (celsius === null || (unit !== null && !/^(°C|Cel)$/.test(unit))) return "mute";
  return celsius >= 19 && celsius <= 26 ? "ok" : "warn";
}

export function PipelinesPanel() {
  const pipelines = (useQuery(queries.pipelines).data ?? []).filter((pipeline) => pipeline.kind === "pipeline");
  const running = pipelines.filter((pipeline) => pipeline.state === "running").length;
  return (
    <Panel title="Pipelines" hint={pipelines.length > 0 ? `${running} running` : undefined}>
      {pipelines.slice(0, SHOWN).map((pipeline) => (
        <Link key={pipeline.name} to="/pipelines/$name" params={{ name: pipeline.name }} className={cx(ROW, "hover:bg-raised/50")}>
          {pipeline.state === "running" ? (
            <Play size={13} className="text-ok" role="img" aria-label="running" />
          ) : pipeline.state === "failed" ? (
            <TriangleAlert size={13} className="text-bad" role="img" aria-label="failed" />
          ) : (
            <Pause size={13} className="text-mute" role="img" aria-label={pipeline.state} />
          )}
          <span className="ml-3 min-w-0 truncate">{pipeline.name}</span>
          <span className="ml-auto whitespace-nowrap pl-3 text-mute tabular-nums">{perMinute(pipeline.rate_in)}</span>
          <span className="w-20 whitespace-nowrap text-right text-mute tabular-nums">{lagText(pipeline)}</span>
        </Link>
      ))}
      {pipelines.length > SHOWN && <More to="/pipelines" text={`All ${count(pipelines.length)}`} />}
      {pipelines.length === 0 && (
        <p className="px-4 py-4 text-[13px] leading-relaxed text-mute">
          A pipeline turns readings into something new while they arrive: means per minute, thresholds, alerts.{" "}
          <Link to="/pipelines/new" className="text-accent underline underline-offset-2">
            Write one
          </Link>
        </p>
      )}
    </Panel>
  );
}

export function ActivityPanel({ activity }: { activity: readonly Activity[] }) {
  return (
    <Panel title="Activity" hint="newest first">
      {activity.slice(0, SHOWN).map((entry, index) => (
        <div key={`${entry.at}-${index}`} className="flex gap-3 border-b border-line/50 px-4 py-2 text-[13px] last:border-0">
          <time dateTime={entry.at} title={moment(entry.at)} className="w-14 shrink-0 text-mute tabular-nums">
            {timeOrDay(entry.at)}
          </time>
          <div className="min-w-0">
            <div className="truncate">
              {entry.device ? (
                <Link to="/devices/$id" params={{ id: entry.device }} className="hover:text-accent">
                  {entry.device}
                </Link>
              ) : (
                "Springhouse"
              )}
            </div>
            <div
              className={cx(
                "truncate text-[12px]",
                entry.severity === "critical" ? "text-bad" : entry.severity === "warning" ? "text-warn" : "text-mute",
              )}
              title={entry.text}
            >
              {entry.text}
            </div>
          </div>
        </div>
      ))}
      {activity.length === 0 && <p className="px-4 py-4 text-[13px] text-mute">Doors, locks and alerts will be listed here.</p>}
    </Panel>
  );
}

function timeOrDay(text: string): string {
  const at = parse(text);
  if (at === null) return "–";
  return day(at) === day(new Date()) ? clock(at) : day(at).slice(5);
}

function More({ to, text }: { to: "/devices" | "/pipelines"; text: string }) {
  return (
    <Link to={to} className="block border-t border-line/50 px-4 py-2.5 text-[12px] text-mute hover:text-ink">
      {text} →
    </Link>
  );
}
