import { House, Sun, Zap, type LucideIcon } from "lucide-react";
import { fixed } from "../format/number";

interface Props {
  solar: number;
  home: number;
  grid: number;
}
/** Below this nothing is drawn as flowing, in kilowatts. */
const FLOW_KW_MIN = 0.02;

/** Where the power goes: dots run from who gives to who takes, thicker for more. */
export function EnergyFlow({ solar, home, grid }: Props) {
  const toHome = Math.max(0, Math.min(solar, home));
  const fromGrid = Math.max(0, grid);
  const toGrid = Math.max(0, -grid);
  const largest = Math.max(solar, home, Math.abs(grid), FLOW_KW_MIN);
  const flows: [string, string, number][] = [
    ["M210 62 C280 62 280 150 336 168", "--color-solar", toHome],
    ["M210 62 C140 62 140 150 84 168", "--color-solar", toGrid],
    ["M84 168 C170 190 250 190 336 168", "--color-grid", fromGrid],
  ];
  const label = `Solar gives ${fixed(solar, 1)} kW, the home takes ${fixed(home, 1)} kW, the grid ${grid < 0 ? "takes" : "gives"} ${fixed(Math.abs(grid), 1)} kW`;
  return (
    <svg viewBox="0 0 420 252" className="h-63 w-full" role="img" aria-label={label}>
      {flows.map(([path, color, kw]) => (
        <g key={path}>
          <path d={path} stroke="var(--color-line)" strokeWidth="2" fill="none" />
          {kw > FLOW_KW_MIN && (
            <path
              d={path}
              stroke={`var(${color})`}
              strokeWidth={2.5 + 3 * (kw / largest)}
              strokeLinecap="round"
              strokeDasharray="0.5 14"
              fill="none"
              className="animate-[flow_0.9s_linear_infinite]"
            />
          )}
        </g>
      ))}
      <Node x={210} y={62} icon={Sun} label="Solar" kw={solar} color="--color-solar" />
      <Node x={84} y={168} icon={Zap} label="Grid" kw={grid} color="--color-grid" />
      <Node x={336} y={168} icon={House} label="Home" kw={home} color="--color-load" />
    </svg>
  );
}

function Node({ x, y, icon: Icon, label, kw, color }: { x: number; y: number; icon: LucideIcon; label: string; kw: number; color: string }) {
  return (
    <g transform={`translate(${x},${y})`}>
      <circle r="38" fill="var(--color-raised)" stroke={`var(${color})`} strokeWidth="1.5" />
      <Icon x="-8" y="-27" width="16" height="16" color={`var(${color})`} aria-hidden />
      <text y="7" textAnchor="middle" fill="var(--color-ink)" fontSize="13" fontWeight="600">
        {fixed(kw, 1)} kW
      </text>
      <text y="22" textAnchor="middle" fill="var(--color-mute)" fontSize="10.5">
        {label}
      </text>
    </g>
  );
}
