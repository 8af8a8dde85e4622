import type { ReactNode } from "react";

/** A row of figures, each under its name. */
export function Figures({ figures }: { figures: [string, ReactNode][] }) {
  return (
    <dl className="flex flex-wrap gap-px overflow-hidden rounded-xl border border-line bg-line">
      {figures.map(([label, value]) => (
        <div key={label} className="grow basis-32 bg-panel px-4 py-3">
          <dt className="text-[12px] text-mute">{label}</dt>
          <dd className="mt-1 text-[15px] font-medium tabular-nums">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
