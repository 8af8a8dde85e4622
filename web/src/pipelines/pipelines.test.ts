import { describe, expect, test } from "vitest";
import type { Stream } from "../api/types";
import { lagText, perMinute } from "./figures";
import { behind, usedText } from "./function-text";
import { alertTemplate, asPipeline, missingHead, nameIn, pipelineTemplate } from "./templates";

const meter = { name: "meter", origin: "inferred", rows_per_minute: 9, columns: [{ name: "ts", type: "time", system: true }, { name: "Power", type: "float" }] } as Stream;

describe("templates", () => {
  test("are written for the person's own stream, quoted where needed", () => {
    expect(pipelineTemplate([meter])).toContain('avg("Power") AS mean');
    expect(pipelineTemplate([meter])).toContain("CREATE PIPELINE meter_power_minute INTO meter_power_minute");
    expect(alertTemplate([])).toContain("FROM meter");
  });
  test("a question becomes a pipeline without the parts that need an end", () => {
    expect(asPipeline("SELECT device FROM meter WHERE x > 1\nORDER BY ts DESC LIMIT 10;")).toBe(
      "CREATE PIPELINE my_pipeline INTO my_stream AS\nSELECT device FROM meter WHERE x > 1",
    );
    expect(asPipeline("create pipeline a into b as select 1")).toBe("create pipeline a into b as select 1");
  });
  test("a bare question cannot be created and says how it could", () => {
    expect(missingHead("SELECT 1", false)).toBe("Begin with CREATE PIPELINE name INTO stream AS");
    expect(missingHead("-- x\nselect 1", true)).toContain("CREATE ALERT");
    expect(["", "-- mine\n create or replace pipeline a into b as select 1", "CREATE ALERT a SEVERITY info AS SELECT 1"].map((sql) => missingHead(sql, false))).toEqual([null, null, null]);
  });
  test.each([
    ["CREATE PIPELINE a INTO b AS SELECT 1", "a"], ["create or replace alert Hot_Room severity info as select 1", "hot_room"],
    ['CREATE PIPELINE "x.y" INTO b AS SELECT 1', "x.y"], ["SELECT 1", null],
  ])("the name in %s is %s", (sql, name) => expect(nameIn(sql)).toBe(name));
});

describe("figures", () => {
  test("a rate is per minute", () => expect(perMinute(21.4)).toBe("1\u202f284/min"));
  test("the rhythm of commits is no lag", () => {
    expect(lagText({ lag_records: 0, lag_ms: 0 })).toBe("no lag");
    expect(lagText({ lag_records: 3, lag_ms: 200 })).toBe("no lag");
    expect(lagText({ lag_records: 812, lag_ms: 42_000 })).toBe("42 s");
  });
});

test("who goes by another definition of a function is told apart", () => {
  const user = (pipeline: string, version: number, is_present: boolean) => ({ pipeline, version, is_present });
  expect(behind({ used_by: [user("old", 1, false), user("young", 2, true)] })).toEqual(["old"]);
  expect(usedText([{ name: "scaled", version: 1, newer: 2 }, { name: "half", version: 3, newer: null }])).toBe(
    "scaled version 1 (version 2 is there), half version 3",
  );
});
