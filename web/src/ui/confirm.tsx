import type { ReactNode } from "react";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { ProblemNote } from "./problem-note";

interface Props {
  title: string;
  verb: string;
  open: boolean;
  busy?: boolean;
  error?: unknown;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}
/** Asks before something that cannot be undone; says what will be gone. */
export function Confirm({ title, verb, open, busy, error, onConfirm, onClose, children }: Props) {
  return (
    <Dialog title={title} open={open} onClose={onClose}>
      <div className="text-[13px] leading-relaxed text-mute">{children}</div>
      {error ? (
        <div className="mt-4">
          <ProblemNote error={error} />
        </div>
      ) : null}
      <div className="mt-5 flex justify-end gap-2">
        <Button onClick={onClose}>Keep it</Button>
        <Button look="danger" disabled={busy} onClick={onConfirm}>
          {verb}
        </Button>
      </div>
    </Dialog>
  );
}
