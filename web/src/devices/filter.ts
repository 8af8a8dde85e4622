import type { Approval, Device } from "../api/types";

/** Devices in whose name, site or streams every word of `text` occurs. */
export function filterDevices(devices: readonly Device[], text: string | undefined, state: Approval | undefined): Device[] {
  const words = (text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return devices.filter((device) => {
    if (state !== undefined && device.state !== state) return false;
    const name = [device.id, device.site ?? "", ...device.streams].join(" ").toLowerCase();
    return words.every((word) => name.includes(word));
  });
}
