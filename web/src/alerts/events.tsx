import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Check, ChevronRight } from "lucide-react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import type { AlertEvent } from "../api/types";
import { cell } from "../format/number";
import { ago, moment, momentIn, parse } from "../format/time";
import { useNow } from "../app/now";
import { Badge, SEVERITY_TONE } from "../ui/badge";
import { Button, LinkButton } from "../ui/button";
import { cx } from "../ui/cx";
import { inShort } from "./in-short";
import { standing } from "./standing";

const route = getRouteApi("/inside/alerts");
/** The time around an alert that its chart shows. */
const AROUND_MS = 5 * 60_000;

export function AlertEvents({ events }: { events: readonly AlertEvent[] }) {
  const { event: open } = route.useSearch();
  const navigate = route.useNavigate();
  const now = useNow(1000);
  if (events.length === 0) return <p className="px-4 py-8 text-center text-[13px] text-mute">Nothing has fired.</p>;
  return (
    <ul>
      {events.map((event) => {
        const isOpen = event.id === open;
        const isSeen = event.acknowledged_at !== null;
        const stands = standing(event, now);
        return (
          <li key={event.id} className="border-b border-line/50 last:border-0" data-alert={event.alert}>
            <div className="flex min-h-12 flex-wrap items-center gap-x-3 gap-y-1 px-4 py-1.5">
              <button
                type="button"
                aria-expanded={isOpen}
                className="flex min-w-0 flex-1 items-center gap-3 rounded text-left text-[13px] max-sm:basis-full"
                onClick={() => void navigate({ search: (before) => ({ ...before, event: isOpen ? undefined : event.id }), replace: true })}
              >
                <ChevronRight size={14} className={cx("shrink-0 text-mute transition-transform", isOpen && "rotate-90")} aria-hidden />
                <span className="w-19 shrink-0">
                  <Badge tone={isSeen && !event.firing ? "mute" : SEVERITY_TONE[event.severity]}>{event.severity}</Badge>
                </span>
                <span className={cx("min-w-0 sm:truncate", isSeen ? "text-mute" : "font-medium")}>
                  {event.alert}
                  {event.key && <span className="font-normal text-mute"> · {event.key}</span>}
                  {inShort(event) && <span className="font-normal text-mute tabular-nums"> · {inShort(event)}</span>}
                </span>
              </button>
              <time
                dateTime={event.at}
                title={moment(event.at)}
                className={cx("text-[12px] tabular-nums max-sm:pl-7", event.firing ? "font-medium text-bad" : "text-mute")}
              >
                {stands ?? ago(event.at, now)}
              </time>
              <span className="flex w-32 justify-end max-sm:ml-auto">
                {isSeen ? <span className="truncate text-[12px] text-mute">seen{event.by ? ` by ${event.by}` : ""}</span> : <Acknowledge event={event} />}
              </span>
            </div>
            {isOpen && <Detail event={event} />}
          </li>
        );
      })}
    </ul>
  );
}

function Acknowledge({ event }: { event: AlertEvent }) {
  const cache = useQueryClient();
  const acknowledge = useMutation({
    mutationFn: () => api.acknowledge(event.id),
    onSettled: () => Promise.all([cache.invalidateQueries({ queryKey: ["alerts"] }), cache.invalidateQueries({ queryKey: ["overview"] })]),
  });
  return (
    <Button
      className="h-7! px-2!"
      icon={<Check size={14} aria-hidden />}
      aria-label={`Acknowledge ${event.alert} of ${event.key}`}
      title={acknowledge.error?.message}
      disabled={acknowledge.isPending}
      onClick={() => acknowledge.mutate()}
    >
      Acknowledge
    </Button>
  );
}

/** The row that fired and the ways to its cause: the device around that time, and the rule. */
function Detail({ event }: { event: AlertEvent }) {
  const named = String(event.row.device ?? event.key);
  const isDevice = useQuery(queries.devices).data?.some((device) => device.id === named) ?? false;
  const at = parse(event.at)?.getTime();
  const around = at === undefined ? {} : { from: at - AROUND_MS, to: at + AROUND_MS };
  return (
    <div className="border-t border-line/40 bg-bg/40 px-4 py-3 pl-11">
      <dl className="grid gap-x-6 gap-y-2 text-[13px] sm:grid-cols-2 xl:grid-cols-4">
        <Fact name={event.times === null ? "at" : "began"} value={moment(event.at)} />
        {event.resolved_at !== null && <Fact name={event.note ?? "resolved"} value={moment(event.resolved_at)} />}
        {event.resolved_at !== null && event.times !== null && <Fact name="times" value={cell(event.times)} />}
        {Object.entries(event.row)
          .filter(([name, value]) => !name.startsWith("_") && value !== null && name !== "ts")
          .map(([name, value]) => (
            <Fact key={name} name={name} value={momentIn(value) ?? cell(value)} />
          ))}
      </dl>
      <div className="mt-3 flex flex-wrap gap-2">
        {isDevice && (
          <LinkButton to="/devices/$id" params={{ id: named }} search={around}>
            The device around that time
          </LinkButton>
        )}
        <Link to="/pipelines/$name" params={{ name: event.alert }} className="flex h-8 items-center px-1 text-[13px] text-accent hover:underline">
          The rule
        </Link>
      </div>
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div className="min-w-0">
      <dt className="text-[12px] text-mute">{name}</dt>
      <dd className="truncate tabular-nums" title={value}>
        {value}
      </dd>
    </div>
  );
}
