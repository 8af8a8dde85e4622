import { sparkPath } from "./spark-path";

const WIDTH = 240;
const HEIGHT = 40;

/** A line without axes: the shape of the last minutes beside a figure that says the value. */
export function Sparkline({ points, color = "var(--color-accent)" }: { points: readonly (readonly [number, number])[]; color?: string }) {
  const path = sparkPath(points, WIDTH, HEIGHT);
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className="h-10 w-full" aria-hidden data-points={points.length}>
      {path && (
        <>
          <path d={`${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} fill={color} opacity="0.1" />
          <path d={path} fill="none" stroke={color} strokeWidth="1.5" vectorEffect="non-scaling-stroke" strokeLinejoin="round" />
        </>
      )}
    </svg>
  );
}
