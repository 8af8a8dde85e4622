import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import { Button } from "../ui/button";
import { Confirm } from "../ui/confirm";
import { CopyBox } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { ProblemNote } from "../ui/problem-note";

/** A device's own token: made, renewed or taken away; never shown again. */
export function DeviceToken({ id, hasOwn }: { id: string; hasOwn: boolean }) {
  const cache = useQueryClient();
  const refresh = (): Promise<void> => cache.invalidateQueries({ queryKey: ["device", id] });
  const [asks, setAsks] = useState<"rotate" | "revoke" | null>(null);
  const [done, setDone] = useState(false);
  const rotate = useMutation({
    mutationFn: () => api.rotateDeviceToken(id),
    onSuccess: () => {
      setAsks(null);
      setDone(false);
      return refresh();
    },
  });
  const revoke = useMutation({
    mutationFn: () => api.revokeDeviceToken(id),
    onSuccess: () => {
      setAsks(null);
      setDone(true);
      return refresh();
    },
  });
  return (
    <div className="p-4 text-[13px]">
      <p className="leading-relaxed text-mute">
        {hasOwn ? (
          <>
            The device signs in with a token of its own and may publish only to <code className="text-ink">devices/{id}/…</code>
          </>
        ) : (
          "The device has no token of its own: what it sends comes through a gateway. With one it can sign in by itself."
        )}
      </p>
      {done && (
        <p role="status" className="mt-2 text-warn">
          Its token is revoked.
        </p>
      )}
      {asks === null && rotate.error && (
        <div className="mt-3">
          <ProblemNote error={rotate.error} />
        </div>
      )}
      <div className="mt-3 flex gap-2">
        <Button onClick={() => (hasOwn ? setAsks("rotate") : rotate.mutate())}>New token</Button>
        {hasOwn && (
          <Button look="danger" onClick={() => setAsks("revoke")}>
            Revoke
          </Button>
        )}
      </div>
      <Confirm
        title="Make a new token?"
        verb="Make it"
        open={asks === "rotate"}
        busy={rotate.isPending}
        error={rotate.error}
        onConfirm={() => rotate.mutate()}
        onClose={() => setAsks(null)}
      >
        The token that {id} uses stops working at once.
      </Confirm>
      <Confirm
        title="Revoke the token?"
        verb="Revoke it"
        open={asks === "revoke"}
        busy={revoke.isPending}
        error={revoke.error}
        onConfirm={() => revoke.mutate()}
        onClose={() => setAsks(null)}
      >
        {id} is disconnected and cannot send until it gets a new token. Its readings stay.
      </Confirm>
      <Dialog title="The new token" open={rotate.data !== undefined} onClose={() => rotate.reset()}>
        <p className="mb-3 text-[13px] text-mute">It is shown this once. The hub keeps only its fingerprint.</p>
        {rotate.data && <CopyBox label="Token" text={rotate.data.token} />}
        <div className="mt-5 flex justify-end">
          <Button look="primary" onClick={() => rotate.reset()}>
            I have it
          </Button>
        </div>
      </Dialog>
    </div>
  );
}
