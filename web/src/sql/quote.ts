/** A name as SQL takes it whatever letters it has. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
/** The name of a stream in `FROM`: plain where that is allowed, so that what is shown reads well. */
export function tableName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : ident(name);
}
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
export function timestamp(epochMs: number): string {
  return `TIMESTAMP '${new Date(epochMs).toISOString()}'`;
}
