import type { DeviceDetail, Stream } from "../api/types";
import { isNumeric, properties } from "../streams/columns";

export interface ChartOf {
  stream: string;
  property: string;
  unit: string | null;
}

/** Every numeric property that this device has sent, stream by stream in the schema's order. */
export function chartsOf(device: DeviceDetail, streams: readonly Stream[]): ChartOf[] {
  const sent = new Set(device.latest.map((latest) => `${latest.stream}\n${latest.property}`));
  return streams
    .filter((stream) => device.streams.includes(stream.name))
    .flatMap((stream) =>
      properties(stream)
        .filter((column) => isNumeric(column) && sent.has(`${stream.name}\n${column.name}`))
        .map((column) => ({ stream: stream.name, property: column.name, unit: column.unit ?? null })),
    );
}
