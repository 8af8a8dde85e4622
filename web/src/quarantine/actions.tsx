import { useMutation, useQueryClient } from "@tanstack/react-query";
import { RotateCcw, Trash2 } from "lucide-react";
import { useState } from "react";
import { api } from "../api/client";
import type { QuarantinedMessage } from "../api/types";
import { plural } from "../format/number";
import { Button } from "../ui/button";
import { Confirm } from "../ui/confirm";
import { Dialog } from "../ui/dialog";
import { ProblemNote } from "../ui/problem-note";
import { isOfPipeline } from "./reason";

interface Props {
  items: readonly QuarantinedMessage[];
  /** Everything of this stream, also what is not listed. */
  stream?: string;
  isSingle?: boolean;
}
/** Tries messages again, or deletes them for good. */
export function QuarantineActions({ items, stream, isSingle = false }: Props) {
  const cache = useQueryClient();
  const [asks, setAsks] = useState(false);
  const which = stream !== undefined && !isSingle ? { stream } : { ids: items.map((item) => item.id) };
  const what = stream !== undefined && !isSingle ? `everything of ${stream}` : plural(items.length, "message");
  const refresh = (): Promise<unknown> =>
    Promise.all([cache.invalidateQueries({ queryKey: ["quarantine"] }), cache.invalidateQueries({ queryKey: ["overview"] })]);
  const replay = useMutation({ mutationFn: () => api.replay(which) });
  const purge = useMutation({
    mutationFn: () => api.purge(which),
    onSuccess: async () => {
      setAsks(false);
      await refresh();
    },
  });
  const isReplayable = items.length === 0 || items.some((item) => !isOfPipeline(item));
  const size = isSingle ? "" : "h-7! px-2! text-[12px]!";
  return (
    <>
      {isReplayable && (
        <Button className={size} icon={<RotateCcw size={13} aria-hidden />} disabled={replay.isPending || items.length === 0} onClick={() => replay.mutate()}>
          {isSingle ? "Replay" : "Replay all"}
        </Button>
      )}
      <Button look="danger" className={size} icon={<Trash2 size={13} aria-hidden />} disabled={items.length === 0} onClick={() => setAsks(true)}>
        {isSingle ? "Purge" : "Purge all"}
      </Button>
      <Confirm
        title={`Purge ${what}?`}
        verb="Purge"
        open={asks}
        busy={purge.isPending}
        error={purge.error}
        onConfirm={() => purge.mutate()}
        onClose={() => setAsks(false)}
      >
        The payloads are deleted for good. Readings that are in streams stay.
      </Confirm>
      <Dialog
        title="Replay"
        open={replay.data !== undefined || replay.error !== null}
        onClose={() => {
          replay.reset();
          void refresh();
        }}
      >
        {replay.error ? (
          <ProblemNote error={replay.error} />
        ) : (
          replay.data && (
            <p role="status" className="text-[13px] leading-relaxed">
              {replay.data.replayed === 0
                ? "No message fits yet."
                : `${plural(replay.data.replayed, "message")} ${replay.data.replayed === 1 ? "fits" : "fit"} by now and ${replay.data.replayed === 1 ? "is" : "are"} part of the stream.`}{" "}
              {replay.data.still_failing > 0 && `${plural(replay.data.still_failing, "message")} still ${replay.data.still_failing === 1 ? "does" : "do"} not fit.`}{" "}
              {replay.data.still_failing > 0 && "Change the schema of the stream or the device."}
            </p>
          )
        )}
      </Dialog>
    </>
  );
}
