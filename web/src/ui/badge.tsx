import type { ReactNode } from "react";
import type { Approval, Severity } from "../api/types";
import { cx } from "./cx";

export type Tone = "ok" | "warn" | "bad" | "accent" | "mute";
const TONES: Record<Tone, string> = {
  ok: "bg-ok/12 text-ok",
  warn: "bg-warn/14 text-warn",
  bad: "bg-bad/14 text-bad",
  accent: "bg-accent/14 text-accent",
  mute: "bg-raised text-mute",
};
export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={cx("inline-flex h-5 items-center gap-1 whitespace-nowrap rounded-full px-2 text-[11.5px] font-medium", TONES[tone])}>
      {children}
    </span>
  );
}

const DOTS: Record<Tone, string> = { ok: "bg-ok", warn: "bg-warn", bad: "bg-bad", accent: "bg-accent", mute: "bg-edge" };
export function Dot({ tone, label }: { tone: Tone; label?: string }) {
  const named = label === undefined ? { "aria-hidden": true } : { role: "img", "aria-label": label, title: label };
  return <span {...named} className={cx("inline-block size-2 shrink-0 rounded-full", DOTS[tone])} />;
}

export const APPROVAL_TONE: Record<Approval, Tone> = { approved: "ok", pending: "warn", refused: "bad" };
export const SEVERITY_TONE: Record<Severity, Tone> = { info: "accent", warning: "warn", critical: "bad" };

/** State of a pipeline or rule as a tone. */
export function stateTone(state: string): Tone {
  return state === "running" ? "ok" : state === "paused" ? "mute" : state === "failed" ? "bad" : "warn";
}
