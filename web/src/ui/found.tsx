import type { ReactNode } from "react";
import { Loading, Panel } from "./panel";
import { ProblemNote } from "./problem-note";

/** One thing out of a list that is being fetched: the thing, or why it is not here. */
export function Found<T>({
  kind,
  name,
  thing,
  list,
  children,
}: {
  kind: string;
  name: string;
  thing: T | undefined;
  list: { data?: unknown; error: Error | null };
  children: (thing: T) => ReactNode;
}) {
  if (thing !== undefined) return children(thing);
  if (list.data !== undefined) return <ProblemNote error={new Error(`There is no ${kind.toLowerCase()} called “${name}”.`)} />;
  if (list.error) return <ProblemNote error={list.error} />;
  return (
    <Panel title={kind}>
      <Loading />
    </Panel>
  );
}
