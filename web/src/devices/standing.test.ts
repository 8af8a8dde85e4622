import { expect, test } from "vitest";
import type { Certificate, Connect } from "../api/types";
import { enrolLines, standing } from "./standing";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const certificate = (not_after: string, revoked_at: string | null): Certificate => ({
  serial: "5f3a9c55d2b17e605f3a9c55d2b17e60",
  not_before: "2026-01-01T00:00:00Z",
  not_after,
  issued_at: "2026-01-01T00:00:00Z",
  revoked_at,
});

test("a certificate is valid until it is revoked or over", () => {
  expect(standing(certificate("2026-06-01T00:00:01Z", null), NOW)).toBe("valid");
  expect(standing(certificate("2026-06-01T00:00:00Z", null), NOW)).toBe("over");
  expect(standing(certificate("2027-01-01T00:00:00Z", "2026-05-01T00:00:00Z"), NOW)).toBe("revoked");
});

test("a device's name does not get out of its quotes", () => {
  const connect: Connect = {
    mqtt: { host: "hub", port: 1883, tls_port: 8883 },
    http: { url: "http://hub.example:8080", tls_port: 8443 },
    topic_template: "devices/{device}/{stream}",
    ca_available: true,
  };
  const lines = enrolLines("it's", "shc_1_2", connect);
  expect(lines).toContain("https://hub.example:8443/.well-known/est/simpleenroll");
  expect(lines).toContain("-t 'devices/it'\\''s/test'");
  expect(lines).toContain("-h hub.example -p 8883");
});
