/** The path of a sparkline through `[time, value]` points in a box, one unit of air above and below. */
export function sparkPath(points: readonly (readonly [number, number])[], width: number, height: number): string {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || last[0] === first[0]) return "";
  const values = points.map(([, value]) => value);
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  return points
    .map(([at, value], index) => {
      const x = ((at - first[0]) / (last[0] - first[0])) * width;
      const y = span === 0 ? height / 2 : height - 1 - ((value - low) / span) * (height - 2);
      return `${index === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
}
