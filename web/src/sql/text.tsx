const TOKEN = /('(?:[^']|'')*')|("(?:[^"]|"")*")|(--[^\n]*)|(\b\d+(?:\.\d+)?\b)|([A-Za-z_]\w*)/g;
const KEYWORDS = new Set(
  ("create or replace if not exists pipeline alert stream into severity key as select distinct from where and or is null like in between " +
    "group by having order limit with join left right inner outer on case when then else end union all interval asc desc watermark for " +
    "allowed lateness tumble hop session table descriptor minute second hour day info warning critical cast over partition").split(" "),
);

/** A statement to read, colored like in the editor, without loading the editor. */
export function SqlText({ sql, label = "Statement" }: { sql: string; label?: string }) {
  return (
    <pre tabIndex={0} aria-label={label} className="overflow-x-auto px-4 py-3.5 font-mono text-[12.5px] leading-relaxed">
      {pieces(sql).map(([text, color], index) => (
        <span key={index} className={color}>
          {text}
        </span>
      ))}
    </pre>
  );
}

/** The text cut into pieces with the class of their color. */
export function pieces(sql: string): [string, string | undefined][] {
  const out: [string, string | undefined][] = [];
  let at = 0;
  for (const match of sql.matchAll(TOKEN)) {
    if (match.index > at) out.push([sql.slice(at, match.index), undefined]);
    const [text, quoted, , comment, digits, word] = match;
    const color = quoted ? "text-solar" : comment ? "text-mute" : digits ? "text-grid" : word && KEYWORDS.has(word.toLowerCase()) ? "text-accent" : undefined;
    out.push([text, color]);
    at = match.index + text.length;
  }
  out.push([sql.slice(at), undefined]);
  return out;
}
