import type { DeviceDetail, Latest, Stream } from "../api/types";
import { isNumeric, properties } from "../streams/columns";

export interface ChartOf {
  stream: string;
  property: string;
  unit: string | null;
  /** What the device said last. */
  latest: Latest;
}

/** Every numeric property that this device has sent, stream by stream in the schema's order. */
export function chartsOf(device: DeviceDetail, streams: readonly Stream[]): ChartOf[] {
  return streams
    .filter((stream) => device.streams.includes(stream.name))
    .flatMap((stream) =>
      properties(stream)
        .filter(isNumeric)
        .flatMap(({ name, unit }) => {
          const latest = device.latest.find((one) => one.stream === stream.name && one.property === name);
          return latest ? [{ stream: stream.name, property: name, unit: unit ?? null, latest }] : [];
        }),
    );
}
