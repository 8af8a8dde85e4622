import { expect, test } from "vitest";
import { changedLines } from "./lines";

const marked = (older: string, newer: string): string[] => changedLines(older, newer).map(({ mark, text }) => mark + text);

test("lines that both texts have stay, the others are marked", () => {
  expect(marked("SELECT a,\n  b\nFROM s", "SELECT a,\n  b * 2 AS b\nFROM s\nWHERE a > 1")).toEqual([
    " SELECT a,",
    "-  b",
    "+  b * 2 AS b",
    " FROM s",
    "+WHERE a > 1",
  ]);
  expect(marked("one", "one")).toEqual([" one"]);
  expect(marked("one\ntwo\nthree", "two")).toEqual(["-one", " two", "-three"]);
});

test("a text of many lines is compared in bounded time", () => {
  const long = Array.from({ length: 5000 }, (_, line) => `${line}`).join("\n");
  expect(changedLines(long, "short")).toHaveLength(5001);
});
