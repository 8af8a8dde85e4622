import { expect, test } from "vitest";
import type { Stream } from "../api/types";
import { asked, forgetAll, remember } from "./history";
import { starter } from "./starter";

function memory() {
  const map = new Map<string, string>();
  return { getItem: (key: string) => map.get(key) ?? null, setItem: (key: string, value: string) => void map.set(key, value) };
}

test("the history is newest first, without repetition, bounded and survives rubbish", () => {
  const store = memory();
  remember("a", store);
  remember("b", store);
  remember("a", store);
  expect(asked(store).map((one) => one.query)).toEqual(["a", "b"]);
  for (let n = 0; n < 50; n++) remember(`q${n}`, store);
  expect(asked(store)).toHaveLength(30);
  store.setItem("springhouse.queries", "{not json");
  expect(asked(store)).toEqual([]);
  forgetAll(store);
  expect(asked(store)).toEqual([]);
});

test("the first question is about the busiest raw stream with a number", () => {
  const stream = (name: string, rate: number, type: string, origin = "declared") =>
    ({ name, origin, rows_per_minute: rate, columns: [{ name: "ts", type: "time", system: true }, { name: "power", type }] }) as unknown as Stream;
  const query = starter([stream("door", 90, "bool"), stream("meter", 50, "float"), stream("per_minute", 900, "float", "derived")]);
  expect(query).toContain("FROM meter");
  expect(starter([stream("door", 90, "bool")])).toBeNull();
});
