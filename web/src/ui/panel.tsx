import type { ReactNode } from "react";
import { cx } from "./cx";

interface Props {
  title: ReactNode;
  /** Name of the region when the title is not plain text. */
  label?: string;
  hint?: ReactNode;
  children: ReactNode;
  className?: string;
}
export function Panel({ title, label, hint, children, className }: Props) {
  const name = label ?? (typeof title === "string" ? title : undefined);
  return (
    <section aria-label={name} className={cx("min-w-0 rounded-xl border border-line bg-panel", className)}>
      <div className="flex h-10 items-center gap-3 border-b border-line/70 px-4">
        <h2 className="truncate text-[13px] font-medium">{title}</h2>
        {hint !== undefined && <div className="ml-auto flex items-center gap-2 truncate text-[12px] text-mute">{hint}</div>}
      </div>
      {children}
    </section>
  );
}

/** Teaches what would stand here and how to get it. */
export function Empty({ icon, title, children, action }: { icon: ReactNode; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center px-6 py-12 text-center">
      <div className="grid size-11 place-items-center rounded-xl bg-accent/12 text-accent">{icon}</div>
      <p className="mt-4 text-[15px] font-semibold">{title}</p>
      {children && <div className="mt-1.5 max-w-[46ch] text-[13px] leading-relaxed text-mute">{children}</div>}
      {action && <div className="mt-5 flex flex-wrap justify-center gap-2">{action}</div>}
    </div>
  );
}

/** Holds the place of something that loads, with its height, so that nothing jumps. */
export function Loading({ rows = 4, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div role="status" aria-label={label} className="space-y-2.5 p-4">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="h-4 animate-pulse rounded bg-raised" />
      ))}
    </div>
  );
}
