import type { Pipeline } from "../api/types";
import { count } from "../format/number";
import { duration } from "../format/time";

/** The engine counts per second; people compare with "per minute", which is what devices do. */
export function perMinute(perSecond: number): string {
  return `${count(perSecond * 60)}/min`;
}

/** How far behind a pipeline is: `no lag`, or the age of what it reads next. */
export function lagText(pipeline: Pick<Pipeline, "lag_records" | "lag_us">): string {
  if (pipeline.lag_records === 0) return "no lag";
  if (pipeline.lag_us !== null && pipeline.lag_us > 0) return duration(pipeline.lag_us / 1000);
  return `${count(pipeline.lag_records)} behind`;
}
