import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Inbox, X } from "lucide-react";
import { queries } from "../api/queries";
import type { Quarantine, QuarantinedMessage } from "../api/types";
import { Page } from "../app/page";
import { count, plural } from "../format/number";
import { ago, moment } from "../format/time";
import { Button } from "../ui/button";
import { cx } from "../ui/cx";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { QuarantineActions } from "./actions";
import { MessageDetail } from "./message";
import { reasonText } from "./reason";

const route = getRouteApi("/inside/quarantine");

/** What did not fit: why, from whom, and whether it fits by now. */
export function QuarantineScreen() {
  const { stream, reason, device, id } = route.useSearch();
  const navigate = route.useNavigate();
  const inbox = useQuery(queries.quarantine({ stream, reason, device }));
  const total = (inbox.data?.counts ?? []).reduce((sum, one) => sum + one.count, 0);
  const open = inbox.data?.items.find((item) => item.id === id) ?? null;
  const isNarrowed = stream !== undefined || reason !== undefined || device !== undefined;
  return (
    <Page title="Quarantine" sub={total > 0 ? `${plural(total, "message")} kept whole until you decide` : "Messages that do not fit wait here"}>
      {inbox.error && !inbox.data ? (
        <ProblemNote error={inbox.error} />
      ) : !inbox.data ? (
        <Panel title="Inbox">
          <Loading rows={6} />
        </Panel>
      ) : total === 0 && inbox.data.items.length === 0 ? (
        <Panel title="Inbox">
          <Empty icon={<Inbox size={20} />} title="Nothing in quarantine">
            Every message fitted its stream. One that does not (a text where a number belongs, a broken JSON) is kept here with its
            reason, and the others beside it go on.
          </Empty>
        </Panel>
      ) : (
        <>
          <Reasons counts={inbox.data.counts} stream={stream} reason={reason} />
          {isNarrowed && (
            <div className="mb-3 flex flex-wrap items-center gap-2 text-[13px] text-mute">
              {[stream && `stream ${stream}`, reason && reasonText(reason), device && `device ${device}`].filter(Boolean).join(" · ")}
              <Button look="quiet" icon={<X size={14} aria-hidden />} onClick={() => void navigate({ search: {} })}>
                Show all
              </Button>
            </div>
          )}
          <div className={cx("grid items-start gap-4", open && "xl:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]")}>
            <Panel title="Inbox" hint={<QuarantineActions items={inbox.data.items} stream={stream} />}>
              <Messages
                items={inbox.data.items}
                openId={open?.id}
                onOpen={(next) => void navigate({ search: (before) => ({ ...before, id: next }), replace: true })}
              />
            </Panel>
            {open && <MessageDetail message={open} onClose={() => void navigate({ search: (before) => ({ ...before, id: undefined }), replace: true })} />}
          </div>
        </>
      )}
    </Page>
  );
}

function Reasons({ counts, stream, reason }: { counts: Quarantine["counts"]; stream?: string; reason?: string }) {
  const navigate = route.useNavigate();
  return (
    <ul className="mb-4 flex flex-wrap gap-2" aria-label="Counts by reason">
      {counts.map((one) => {
        const isChosen = one.reason === reason && (one.stream ?? undefined) === stream;
        return (
          <li key={`${one.stream ?? ""} ${one.reason}`}>
            <button
              type="button"
              aria-pressed={isChosen}
              onClick={() => void navigate({ search: isChosen ? {} : { stream: one.stream ?? undefined, reason: one.reason } })}
              className={cx(
                "flex items-baseline gap-2.5 rounded-xl border bg-panel px-4 py-2.5 text-left hover:border-edge",
                isChosen ? "border-accent" : "border-line",
              )}
            >
              <span className="text-[18px] font-semibold tabular-nums">{count(one.count)}</span>
              <span className="text-[13px]">
                {reasonText(one.reason)}
                <span className="block text-[12px] text-mute">{one.stream ?? "no stream"}</span>
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Messages({ items, openId, onOpen }: { items: readonly QuarantinedMessage[]; openId?: string; onOpen: (id: string) => void }) {
  if (items.length === 0) return <p className="px-4 py-8 text-center text-[13px] text-mute">No message matches.</p>;
  return (
    <ul className="max-h-[calc(100dvh-260px)] min-h-60 overflow-y-auto" tabIndex={0} aria-label="Messages">
      {items.map((item) => (
        <li key={item.id} className="border-b border-line/50 last:border-0">
          <button
            type="button"
            aria-current={item.id === openId || undefined}
            onClick={() => onOpen(item.id)}
            className="grid w-full grid-cols-[minmax(0,1fr)_auto] gap-x-4 px-4 py-2 text-left text-[13px] hover:bg-raised/40 aria-[current=true]:bg-raised"
          >
            <span className="truncate font-medium">{item.device ?? item.topic}</span>
            <span className="whitespace-nowrap text-[12px] text-mute" title={moment(item.received)}>
              {ago(item.received)}
            </span>
            <span className="truncate text-[12px] text-mute">
              <span className="text-warn">{reasonText(item.reason)}</span> · {item.detail}
            </span>
            <span className="text-[12px] text-mute">{item.stream ?? "–"}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
