export interface Command {
  id: string;
  label: string;
  kind: string;
}

/** Commands in which all words of `text` occur; those that begin with it first, otherwise in their own order. */
export function matches<T extends Command>(commands: readonly T[], text: string): T[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...commands];
  const first = words[0] ?? "";
  const hits = commands.filter((command) => {
    const name = `${command.label} ${command.kind}`.toLowerCase();
    return words.every((word) => name.includes(word));
  });
  const rank = (command: T): number => (command.label.toLowerCase().startsWith(first) ? 0 : 1);
  return hits.toSorted((a, b) => rank(a) - rank(b));
}
