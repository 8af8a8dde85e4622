/** How long to wait before the n-th attempt (from 0) to connect again: doubles from 500 ms up to 10 s, spread by a
 *  quarter, so that many pages do not come back to a restarted hub at the same instant. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const base = Math.min(10_000, 500 * 2 ** attempt);
  return Math.round(base * (0.75 + random() * 0.5));
}
