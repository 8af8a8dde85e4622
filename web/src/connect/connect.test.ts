import { describe, expect, test } from "vitest";
import type { Connect } from "../api/types";
import { CLIENTS, lineFor, shell } from "./lines";
import { deviceNameProblem, streamNameProblem } from "./name";

const connect: Connect = {
  mqtt: { host: "127.0.0.1", port: 1883, tls_port: null },
  http: { url: "http://127.0.0.1:8080/", tls_port: null },
  topic_template: "devices/{device}/{stream}",
  ca_available: false,
};
const wish = { device: "lamp 1", stream: "light", token: "shk_1_abc" };

describe("the line to paste", () => {
  test("is complete for mosquitto_pub", () => {
    expect(lineFor("mosquitto", connect, wish)).toBe(
      `mosquitto_pub -h 127.0.0.1 -p 1883 -q 1 -u 'lamp 1' -P shk_1_abc -t 'devices/lamp 1/light' -m '{"brightness": 0.7, "on": true}'`,
    );
  });
  test.each([
    ["light", "brightness"], ["home_power", "power"], ["meter", "power"], ["plug", "power"], ["energy", "power"], ["front.door", "open"],
    ["contact", "open"], ["window", "open"], ["climate", "humidity"], ["thermometer", "temperature"],
  ])("of a stream %s sends %s with every client", (stream, property) => {
    for (const { id } of CLIENTS) expect(lineFor(id, connect, { ...wish, stream })).toContain(`{"${property}": `.replace('{"humidity', '"humidity'));
  });
  test("names the device in the address for curl", () => {
    expect(lineFor("curl", connect, wish)).toContain("curl -X POST http://127.0.0.1:8080/api/v1/devices/lamp%201/streams/light -H 'Authorization: Bearer shk_1_abc'");
  });
  test("uses TLS where that is the only door, and is absent where there is none", () => {
    const tls = { ...connect, mqtt: { host: "hub", port: null, tls_port: 8883 } };
    expect(lineFor("python", tls, wish)).toContain("tls_set");
    expect(lineFor("mosquitto", tls, wish)).toContain("-p 8883 --cafile");
    expect(lineFor("mosquitto", { ...connect, mqtt: { host: "hub", port: null, tls_port: null } }, wish)).toBeNull();
  });
  test("cannot be broken out of by a name", () => expect(shell("a'; rm -rf /")).toBe(`'a'\\''; rm -rf /'`));
});

test("names are checked while they are typed", () => {
  expect(["lamp-1", "Wohnzimmer Lampe", "a:b@c"].map(deviceNameProblem)).toEqual([null, null, null]);
  expect(["a/b", " a", ".a", "x".repeat(129)].filter((name) => deviceNameProblem(name) === null)).toEqual([]);
  expect(["meter", "home.late"].map(streamNameProblem)).toEqual([null, null]);
  expect(["Meter", "1st", "a..b", "a b"].filter((name) => streamNameProblem(name) === null)).toEqual([]);
});
