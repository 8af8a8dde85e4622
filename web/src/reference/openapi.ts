// The parts of an OpenAPI 3.1 document that the reference shows.

export interface SchemaNode {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  properties?: Record<string, SchemaNode>;
  required?: string[];
  items?: SchemaNode;
  enum?: unknown[];
  oneOf?: SchemaNode[];
  anyOf?: SchemaNode[];
  allOf?: SchemaNode[];
  example?: unknown;
}
export interface Parameter {
  name: string;
  in: "path" | "query" | "header" | "cookie";
  required?: boolean;
  description?: string;
  example?: unknown;
  schema?: SchemaNode & { default?: unknown };
}
interface Content {
  content?: Record<string, { schema?: SchemaNode }>;
  description?: string;
}
interface RawOperation {
  tags?: string[];
  summary?: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: Content;
  responses?: Record<string, Content>;
}
export interface Document {
  info?: { title?: string; version?: string; description?: string };
  paths?: Record<string, Record<string, RawOperation>>;
  components?: { schemas?: Record<string, SchemaNode> };
}
export interface Operation extends RawOperation {
  id: string;
  method: string;
  path: string;
  tag: string;
}

const METHODS = ["get", "post", "put", "patch", "delete"];

/** All operations, group by group in the document's order. */
export function operations(document: Document): Map<string, Operation[]> {
  const groups = new Map<string, Operation[]>();
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const method of METHODS) {
      const raw = item[method];
      if (!raw) continue;
      const tag = raw.tags?.[0] ?? "other";
      const group = groups.get(tag) ?? [];
      group.push({ ...raw, id: `${method} ${path}`, method: method.toUpperCase(), path, tag });
      groups.set(tag, group);
    }
  }
  return groups;
}

/** The address with its parameters filled in, or the names of those that are missing. */
export function addressOf(operation: Operation, values: Record<string, string>): { path: string } | { missing: string[] } {
  const parameters = operation.parameters ?? [];
  const missing = parameters.filter((one) => one.required && !values[one.name]).map((one) => one.name);
  if (missing.length > 0) return { missing };
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
  const query = new URLSearchParams();
  for (const one of parameters) if (one.in === "query" && values[one.name]) query.set(one.name, values[one.name] ?? "");
  const text = query.toString();
  return { path: text === "" ? path : `${path}?${text}` };
}

/** A type in one line: `string`, `Device[]`, `integer | null`. */
export function typeText(node: SchemaNode | undefined): string {
  if (!node) return "any";
  if (node.$ref) return node.$ref.split("/").at(-1) ?? "any";
  const choices = node.oneOf ?? node.anyOf;
  if (choices) return [...new Set(choices.map(typeText))].join(" | ");
  if (node.allOf) return node.allOf.map(typeText).join(" & ");
  if (node.enum) return node.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = Array.isArray(node.type) ? node.type : [node.type ?? (node.properties ? "object" : "any")];
  return types
    .map((type) => (type === "array" ? `${typeText(node.items)}[]` : node.format === "date-time" && type === "string" ? "time" : type))
    .join(" | ");
}

/** Name, type and description of an object's fields; references are followed, so that nobody has to. */
export function fields(document: Document, node: SchemaNode | undefined): { name: string; type: string; required: boolean; text: string }[] {
  const target = resolve(document, node);
  if (!target) return [];
  if (target.items) return fields(document, target.items);
  const parts = target.allOf ?? [target];
  return parts.flatMap((part) => {
    const object = resolve(document, part);
    return Object.entries(object?.properties ?? {}).map(([name, child]) => ({
      name,
      type: typeText(child),
      required: object?.required?.includes(name) ?? false,
      text: child.description ?? "",
    }));
  });
}

function resolve(document: Document, node: SchemaNode | undefined): SchemaNode | undefined {
  const name = node?.$ref?.split("/").at(-1);
  return name === undefined ? node : document.components?.schemas?.[name];
}

export function bodySchema(content: Content | undefined): SchemaNode | undefined {
  const all = content?.content ?? {};
  return (all["application/json"] ?? Object.values(all)[0])?.schema;
}
