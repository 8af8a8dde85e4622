import { describe, expect, test } from "vitest";
import { addressOf, fields, operations, typeText, type Document, type Operation } from "./openapi";

const document: Document = {
  paths: {
    "/api/v1/devices/{id}": {
      get: { tags: ["devices"], parameters: [{ name: "id", in: "path", required: true }, { name: "points", in: "query" }] },
      parameters: {},
    },
    "/healthz": { get: {} },
  },
  components: {
    schemas: {
      Base: { properties: { id: { type: "string", description: "its name" } }, required: ["id"] },
      Device: { allOf: [{ $ref: "#/components/schemas/Base" }, { properties: { seen: { type: ["string", "null"], format: "date-time" } } }] },
    },
  },
};
const show = operations(document).get("devices")?.[0] as Operation;

test("operations are grouped by their tag", () => expect([...operations(document).keys()]).toEqual(["devices", "other"]));

describe("an address", () => {
  test("names what is missing", () => expect(addressOf(show, {})).toEqual({ missing: ["id"] }));
  test("is encoded", () => expect(addressOf(show, { id: "a/b", points: "5" })).toEqual({ path: "/api/v1/devices/a%2Fb?points=5" }));
});

test("types and fields are told in one line", () => {
  expect(typeText({ type: "array", items: { $ref: "#/x/Device" } })).toBe("Device[]");
  expect(typeText({ oneOf: [{ type: "null" }, { type: "integer" }] })).toBe("null | integer");
  expect(fields(document, { type: "array", items: { $ref: "#/components/schemas/Device" } })).toEqual([
    { name: "id", type: "string", required: true, text: "its name" },
    { name: "seen", type: "time | null", required: false, text: "" },
  ]);
});
