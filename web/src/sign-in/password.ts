// The hub's own rules (crates/meta/src/secrets.rs): length protects, rules about letters do not (NIST SP 800-63B-4 §3.1.1).
import { plural } from "../format/number";

export const PASSWORD_CHARS_MIN = 12;
const PASSWORD_CHARS_MAX = 256;

/** Why a password cannot be chosen, or nothing; what is empty has not been written yet. */
export function passwordProblem(password: string): string | null {
  const letters = [...password];
  if (letters.length === 0) return null;
  if (letters.length < PASSWORD_CHARS_MIN) return plural(PASSWORD_CHARS_MIN - letters.length, "more character");
  if (letters.length > PASSWORD_CHARS_MAX) return `at most ${PASSWORD_CHARS_MAX} characters`;
  return letters.every((letter) => letter === letters[0]) ? "not one character alone" : null;
}
