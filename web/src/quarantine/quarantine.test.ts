import { expect, test } from "vitest";
import { isOfPipeline, payloadText, reasonText } from "./reason";

test("reasons are words", () => {
  expect([reasonText("wrong_type"), reasonText("not_json"), reasonText("not_utf8")]).toEqual(["wrong type", "not JSON", "not UTF-8"]);
});

test("a payload that is JSON is indented, another is left as it came", () => {
  expect(payloadText('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(payloadText("<html>")).toBe("<html>");
});

test("rows of a pipeline are told from messages of devices, which can be replayed", () => {
  expect(isOfPipeline({ topic: "$pipeline/inverses" })).toBe(true);
  expect(isOfPipeline({ topic: "devices/lamp/light" })).toBe(false);
});
