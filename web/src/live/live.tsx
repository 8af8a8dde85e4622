import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Braces, Eraser, Pause, Play, Radio } from "lucide-react";
import { useState } from "react";
import type { Stream } from "../api/types";
import { queries } from "../api/queries";
import { Page } from "../app/page";
import { count, plural } from "../format/number";
import { Button, IconButton, LinkButton } from "../ui/button";
import { Choice } from "../ui/choice";
import { cx } from "../ui/cx";
import { Empty, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { FilterForm } from "./filter-form";
import { LiveRows } from "./live-rows";
import { useLive } from "./use-live";

const route = getRouteApi("/inside/live");
const ALL = "";

/** Readings as they become durable. */
export function Live() {
  const { stream, device, filter } = route.useSearch();
  const navigate = route.useNavigate();
  const streams = useQuery(queries.streams).data ?? [];
  const [isPaused, setPaused] = useState(false);
  const [isRaw, setRaw] = useState(false);
  const live = useLive({ stream, device, filter, isPaused });
  const set = (next: { stream?: string; device?: string; filter?: string }): void => {
    void navigate({ search: (before) => ({ ...before, ...next }) });
  };
  return (
    <Page
      title="Live stream"
      sub={
        live.received > 0
          ? `${plural(live.received, "row")} · ${count(live.perSecond)}/s${live.dropped > 0 ? ` · ${count(live.dropped)} dropped` : ""}`
          : "Rows as they become durable"
      }
      actions={
        <Button
          look={isPaused ? "primary" : "plain"}
          icon={isPaused ? <Play size={14} aria-hidden /> : <Pause size={14} aria-hidden />}
          aria-pressed={isPaused}
          onClick={() => setPaused(!isPaused)}
        >
          {isPaused ? "Go on" : "Pause"}
        </Button>
      }
    >
      <div className="mb-4 flex flex-wrap gap-2">
        <Choice
          label="Stream"
          icon={<Radio size={14} aria-hidden />}
          className="max-w-60"
          value={stream ?? ALL}
          options={[{ value: ALL, label: "Every stream" }, ...streams.map(({ name }) => ({ value: name, label: name }))]}
          onChange={(name) => set({ stream: name || undefined, filter: undefined })}
        />
        <FilterForm
          key={`${device ?? ""}\n${filter ?? ""}`}
          device={device}
          filter={filter}
          hint={filterHint(streams.find(({ name }) => name === stream))}
          onApply={set}
        />
        <div className="ml-auto flex gap-1">
          <Button className={cx(isRaw && "border-accent! text-accent")} aria-pressed={isRaw} icon={<Braces size={14} aria-hidden />} onClick={() => setRaw(!isRaw)}>
            JSON
          </Button>
          <IconButton label="Clear the list" onClick={live.clear}>
            <Eraser size={15} />
          </IconButton>
        </div>
      </div>
      {live.refusal !== null && (
        <div className="mb-4">
          <ProblemNote error={live.refusal} />
        </div>
      )}
      {live.dropped > 0 && (
        <p role="status" className="mb-3 text-[12px] text-warn">
          {plural(live.dropped, "row")} left out, because this page reads slower than they come. Nothing is lost in the stream; a
          filter makes the list readable.
        </p>
      )}
      <Panel title="Rows" hint={isPaused ? `paused · ${count(live.missed)} since` : "newest first"}>
        {streams.length === 0 ? (
          <Empty
            icon={<Radio size={20} />}
            title="Nothing flows yet"
            action={
              <LinkButton to="/connect" look="primary">
                Connect a device
              </LinkButton>
            }
          >
            The first message of a device makes its stream. It runs through here as it comes.
          </Empty>
        ) : (
          <LiveRows rows={live.rows} isRaw={isRaw} hasStream={stream === undefined} />
        )}
      </Panel>
    </Page>
  );
}

function filterHint(stream: Stream | undefined): string {
  const column = stream?.columns.find((candidate) => !candidate.system && /int|float/.test(candidate.type));
  return column ? `${column.name} > 0` : "temperature > 25";
}
