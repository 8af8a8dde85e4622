import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { queries } from "../api/queries";
import { useTail } from "../tail/use-tail";
import { Button, LinkButton } from "../ui/button";
import { CopyBox } from "../ui/copy";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Tabs } from "../ui/tabs";
import { FirstReadings } from "./first-readings";
import { CLIENTS, lineFor, type Client, type Wish } from "./lines";

/** The line, and the wait for what it sends. */
export function PasteStep({ wish, onAnother }: { wish: Wish; onAnother: () => void }) {
  const cache = useQueryClient();
  const connect = useQuery(queries.connect);
  const [client, setClient] = useState<Client>("mosquitto");
  const [hasSpoken, setSpoken] = useState(false);
  // The stream may not exist before the first message: every stream, but of this device alone.
  useTail({
    streams: ["*"],
    device: wish.device,
    onFrame: (frame) => {
      if (!frame.rows.some((row) => row.device === wish.device) || hasSpoken) return;
      setSpoken(true);
      void cache.invalidateQueries({ queryKey: ["streams"] });
      void cache.invalidateQueries({ queryKey: ["devices"] });
      void cache.invalidateQueries({ queryKey: ["device", wish.device] });
    },
  });
  return (
    <>
      {hasSpoken ? <FirstReadings device={wish.device} /> : <Waiting device={wish.device} />}
      <Panel title="Paste this" hint="step 2 of 2">
        {connect.data ? (
          <Tabs
            label="Client"
            value={client}
            onChange={setClient}
            tabs={CLIENTS.map(({ id, label }) => {
              const line = lineFor(id, connect.data, wish);
              return {
                id,
                label,
                content: (
                  <div className="p-4">
                    {line === null ? (
                      <p className="text-[13px] text-mute">The hub listens to no MQTT; use curl, or start it with --mqtt.</p>
                    ) : (
                      <CopyBox label="Line to paste" text={line} />
                    )}
                  </div>
                ),
              };
            })}
          />
        ) : connect.error ? (
          <div className="p-4">
            <ProblemNote error={connect.error} />
          </div>
        ) : (
          <Loading />
        )}
        <div className="border-t border-line/70 p-4">
          <h3 className="text-[13px] font-medium">Its token</h3>
          <p className="mb-2 mt-0.5 text-[12px] text-mute">
            Shown this once: the hub keeps only its fingerprint. It lets {wish.device} publish its own topics and nothing else.
          </p>
          <CopyBox label="Token" text={wish.token} />
        </div>
      </Panel>
      <div className="flex justify-end gap-2">
        <Button onClick={onAnother}>Connect another</Button>
        <LinkButton to="/devices/$id" params={{ id: wish.device }}>
          Its page
        </LinkButton>
      </div>
    </>
  );
}

function Waiting({ device }: { device: string }) {
  return (
    <div role="status" className="flex items-center gap-3 rounded-xl border border-accent/40 bg-accent/8 px-4 py-3 text-[13px]">
      <span className="relative flex size-2.5" aria-hidden>
        <span className="absolute inline-flex size-full animate-ping rounded-full bg-accent opacity-60" />
        <span className="relative inline-flex size-2.5 rounded-full bg-accent" />
      </span>
      <span>
        Waiting for the first message of <b className="font-medium">{device}</b>… It appears here by itself.{" "}
        <Link to="/quarantine" search={{ device }} target="_blank" rel="noreferrer" className="text-accent underline underline-offset-2">
          Does it not fit?<span className="sr-only"> (opens in a new tab; the token stays here)</span>
        </Link>
      </span>
    </div>
  );
}
