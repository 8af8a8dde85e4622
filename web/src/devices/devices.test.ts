import { expect, test } from "vitest";
import type { Device, DeviceDetail, Stream } from "../api/types";
import { chartsOf, ownFirst } from "./charts";
import { filterDevices } from "./filter";

const device = (id: string, state: Device["state"], streams: string[]): Device => ({ id, site: "home-1", state, streams, last_seen: null, online: false, created_at: "" });

test("devices are found by every word in name, site and streams, and by state", () => {
  const all = [device("meter-1", "approved", ["meter"]), device("door", "pending", ["contact"])];
  expect(filterDevices(all, "home METER", undefined).map((one) => one.id)).toEqual(["meter-1"]);
  expect(filterDevices(all, undefined, "pending").map((one) => one.id)).toEqual(["door"]);
  expect(filterDevices(all, "nothing", undefined)).toEqual([]);
});

test("what a device sends comes before what is made of it", () => {
  const names = ["alerts.hot", "means", "meter", "plug"];
  const latest = names.map((stream) => ({ stream, property: "power", value: 1, unit: null, ts: "" }));
  const detail: DeviceDetail = { ...device("meter-1", "approved", names), latest, tokens: [] };
  const ordered = ownFirst(detail, [{ name: "means", origin: "derived" }, { name: "alerts.hot", origin: "derived" }] as Stream[]);
  expect(ordered.streams).toEqual(["meter", "plug", "means", "alerts.hot"]);
  expect(ordered.latest.map((one) => one.stream)).toEqual(ordered.streams);
});

test("every number that a device has sent gets a chart, and nothing else does", () => {
  const columns = ["power float", "on bool", "never float"].map((text) => ({ name: text.split(" ")[0] ?? "", type: text.split(" ")[1] ?? "", unit: "W" }));
  const latest = ["power", "on"].map((property) => ({ stream: "plug", property, value: 1, unit: null, ts: "" }));
  const detail: DeviceDetail = { ...device("plug-1", "approved", ["plug"]), latest, tokens: [] };
  const streams = [{ name: "plug", columns }, { name: "other", columns }] as Stream[];
  expect(chartsOf(detail, streams)).toEqual([{ stream: "plug", property: "power", unit: "W", latest: latest[0] }]);
});
