import type { DeviceDetail, Latest, Stream } from "../api/types";
import { isDerived, isNumeric, properties } from "../streams/columns";

export interface ChartOf {
  stream: string;
  property: string;
  unit: string | null;
  /** What the device said last. */
  latest: Latest;
}

/** The device with what it sends itself before what pipelines and alerts make of it. */
export function ownFirst(device: DeviceDetail, streams: readonly Stream[]): DeviceDetail {
  const derived = new Set(streams.filter(isDerived).map((stream) => stream.name));
  const rank = (name: string): number => (name.startsWith("alerts.") ? 2 : derived.has(name) ? 1 : 0);
  return {
    ...device,
    streams: device.streams.toSorted((a, b) => rank(a) - rank(b)),
    latest: device.latest.toSorted((a, b) => rank(a.stream) - rank(b.stream)),
  };
}

/** Every numeric property that this device has sent, in the order of its streams and of their schemas. */
export function chartsOf(device: DeviceDetail, streams: readonly Stream[]): ChartOf[] {
  return device.streams
    .flatMap((name) => streams.find((stream) => stream.name === name) ?? [])
    .flatMap((stream) =>
      properties(stream)
        .filter(isNumeric)
        .flatMap(({ name, unit }) => {
          const latest = device.latest.find((one) => one.stream === stream.name && one.property === name);
          return latest ? [{ stream: stream.name, property: name, unit: unit ?? null, latest }] : [];
        }),
    );
}
