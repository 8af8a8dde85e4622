import type { PipelineStatus } from "../api/types";
import { count } from "../format/number";
import { duration } from "../format/time";

/** The engine counts per second; people compare with "per minute", which is what devices do. */
export function perMinute(perSecond: number): string {
  return `${count(perSecond * 60)}/min`;
}

/** How far behind a pipeline is: `no lag`, or the age of what it reads next. */
export function lagText(status: Pick<PipelineStatus, "lag_records" | "lag_ms">): string {
  if (status.lag_records === 0) return "no lag";
  // Below a second it is the rhythm of the commits, not a delay.
  if (status.lag_ms > 0) return status.lag_ms < 1000 ? "no lag" : duration(status.lag_ms);
  return `${count(status.lag_records)} behind`;
}
