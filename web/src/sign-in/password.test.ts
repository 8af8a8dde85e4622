import { expect, test } from "vitest";
import { passwordProblem } from "./password";

test("a password is refused for what the hub would refuse it", () => {
  expect(["", "a long night", "ü".repeat(11) + "x"].map(passwordProblem)).toEqual([null, null, null]);
  expect(passwordProblem("elevenchars")).toBe("1 more character");
  expect(passwordProblem("x".repeat(257))).toBe("at most 256 characters");
  expect(passwordProblem("x".repeat(12))).toBe("not one character alone");
});
