import type { SqlFunction, UsedFunction } from "../api/types";

/** Pipelines and alerts that go by another definition than the function has. */
export function behind(fn: Pick<SqlFunction, "used_by">): string[] {
  return fn.used_by.flatMap((user) => (user.is_present ? [] : [user.pipeline]));
}

/** By which definitions a pipeline goes, and whether there are others: `scaled version 1 (version 2 is there)`. */
export function usedText(used: readonly UsedFunction[]): string {
  return used.map(({ name, version, newer }) => `${name} version ${version}${newer === null ? "" : ` (version ${newer} is there)`}`).join(", ");
}
