/** Why a name cannot be a device's, or nothing. The hub checks the same; this only answers while somebody types. */
export function deviceNameProblem(name: string): string | null {
  if (name === "") return null;
  if (new TextEncoder().encode(name).length > 128) return "at most 128 bytes";
  if (name.trim() !== name) return "no spaces around it";
  if (name.startsWith(".")) return "it cannot begin with a dot";
  const bad = [...name].find((letter) => !/[\p{L}\p{N}\-_.:@ ]/u.test(letter));
  return bad === undefined ? null : `“${bad}” is not allowed; letters, digits, - _ . : @ and spaces inside are`;
}

/** A stream is named like a table. */
export function streamNameProblem(name: string): string | null {
  if (name === "") return null;
  if (!/^[a-z0-9_.]+$/.test(name)) return "lower-case letters, digits and _";
  return name.split(".").some((part) => part === "" || /^\d/.test(part)) ? "it begins with a letter" : null;
}
