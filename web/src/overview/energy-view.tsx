import { House, Leaf, Sun, Zap, type LucideIcon } from "lucide-react";
import type { Overview } from "../api/types";
import { sinceBirth, useRange, useSetRange, type Range } from "../app/range";
import { TimeChart } from "../chart/time-chart";
import { fixed } from "../format/number";
import { duration } from "../format/time";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import type { Role, Source } from "./energy";
import { EnergyFlow } from "./energy-flow";
import { usePower, type Power } from "./use-power";

export const ROLES: Record<Role, { label: string; color: string; icon: LucideIcon }> = {
  solar: { label: "Solar", color: "--color-solar", icon: Sun },
  home: { label: "Home", color: "--color-load", icon: House },
  grid: { label: "Grid", color: "--color-grid", icon: Zap },
};

/** What the homes make, use and exchange. */
export function EnergyView({ sources, energy }: { sources: readonly Source[]; energy: Overview["energy"] }) {
  const range = useRange();
  const power = usePower(sources, range);
  const now = (role: Role): number | null =>
    power.lines.find((line) => line.role === role)?.now ?? energy?.[`${role}_kw`] ?? null;
  const [solar, home, grid] = [now("solar"), now("home"), now("grid")];
  const roles = (["solar", "home", "grid"] as const).filter((role) => now(role) !== null);
  const hasFlow = solar !== null && home !== null && grid !== null;
  return (
    <>
      <div className="grid grid-cols-2 gap-4 xl:grid-cols-4">
        {roles.map((role) => (
          <Figure key={role} role={role} kw={now(role) ?? 0} note={note(role, solar, home, grid)} />
        ))}
        {hasFlow && <OwnSupply home={home} grid={grid} />}
      </div>
      <div className={`mt-4 grid gap-4 ${hasFlow ? "xl:grid-cols-[1.7fr_1fr]" : ""}`}>
        <Panel title="Power" hint={<Legend power={power} label={`${range.label.toLowerCase()} · ${duration(power.stepMs)} mean`} />}>
          <PowerChart power={power} range={sinceBirth(range, Math.min(...sources.map((source) => source.bornAt)))} />
        </Panel>
        {hasFlow && (
          <Panel title="Energy flow" hint={range.isLive ? "now" : "end of the range"}>
            <EnergyFlow solar={solar} home={home} grid={grid} />
          </Panel>
        )}
      </div>
    </>
  );
}

function PowerChart({ power, range }: { power: Power; range: Range }) {
  const setRange = useSetRange();
  if (power.error && power.x.length === 0) {
    return (
      <div className="p-4">
        <ProblemNote error={power.error} />
      </div>
    );
  }
  if (power.isLoading && power.x.length === 0) return <Loading rows={6} />;
  return (
    <div className="px-2 pb-1 pt-2">
      <TimeChart
        label="Power in kilowatts"
        x={power.x}
        lines={power.lines.map((line) => ({
          label: ROLES[line.role].label,
          color: ROLES[line.role].color,
          values: line.values,
          unit: "kW",
          fill: line.role === "solar",
          // Without sun, what a home uses is what the grid gives: the same line.
          width: line.role === "home" ? 3 : undefined,
        }))}
        from={range.from}
        to={range.to}
        height={252}
        onZoom={(from, to) => setRange({ from, to })}
        onReset={() => setRange({ range: range.id })}
      />
    </div>
  );
}

function Legend({ power, label }: { power: Power; label: string }) {
  return (
    <>
      {power.lines.map((line) => (
        <span key={line.role} className="flex items-center gap-1.5 max-sm:hidden">
          <span aria-hidden className="h-0.5 w-3 rounded" style={{ background: `var(${ROLES[line.role].color})` }} />
          {ROLES[line.role].label}
        </span>
      ))}
      <span className="ml-2 max-xl:hidden">{label}</span>
    </>
  );
}

function Figure({ role, kw, note: text }: { role: Role; kw: number; note: string }) {
  const { label, color, icon: Icon } = ROLES[role];
  return (
    <section aria-label={label} className="rounded-xl border border-line bg-panel p-4">
      <h2 className="flex items-center gap-2 text-[12px] text-mute">
        <Icon size={14} style={{ color: `var(${color})` }} aria-hidden />
        {role === "grid" ? "Grid" : `${label} now`}
      </h2>
      <p className="mt-2 flex items-baseline gap-1">
        <span className="text-[26px] font-semibold tracking-tight tabular-nums" data-figure={role}>
          {fixed(kw, Math.abs(kw) >= 100 ? 1 : 2)}
        </span>
        <span className="text-[13px] text-mute">kW</span>
      </p>
      <p className="mt-0.5 text-[12px] text-mute">{text}</p>
    </section>
  );
}

function OwnSupply({ home, grid }: { home: number; grid: number }) {
  const share = home > 0.01 ? Math.min(1, Math.max(0, (home - Math.max(0, grid)) / home)) : 1;
  return (
    <section aria-label="Own supply" className="rounded-xl border border-line bg-panel p-4">
      <h2 className="flex items-center gap-2 text-[12px] text-mute">
        <Leaf size={14} className="text-batt" aria-hidden />
        Own supply
      </h2>
      <p className="mt-2 flex items-baseline gap-1">
        <span className="text-[26px] font-semibold tracking-tight tabular-nums">{fixed(share * 100, 0)}</span>
        <span className="text-[13px] text-mute">%</span>
      </p>
      <p className="mt-0.5 text-[12px] text-mute">of the use comes from the roof</p>
    </section>
  );
}

function note(role: Role, solar: number | null, home: number | null, grid: number | null): string {
  if (role === "grid") return (grid ?? 0) < 0 ? "exporting" : "importing";
  if (role === "solar") return (solar ?? 0) > 0.01 ? "from the roof" : "the sun is down";
  return home !== null && solar !== null && solar >= home ? "covered by the sun" : "in use";
}
