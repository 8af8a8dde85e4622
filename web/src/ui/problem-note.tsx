import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError } from "../api/problem";
import type { Problem } from "../api/types";

/** An error as the hub told it: what, why in detail, and what to do. */
export function ProblemNote({ error, action }: { error: unknown; action?: ReactNode }) {
  if (!error) return null;
  const { title, detail, hint, request_id: id } = problemIn(error);
  return (
    <div role="alert" className="flex gap-3 rounded-lg border border-bad/40 bg-bad/8 px-3.5 py-3 text-[13px]">
      <TriangleAlert size={16} className="mt-0.5 shrink-0 text-bad" aria-hidden />
      <div className="min-w-0 flex-1">
        <p className="whitespace-pre-wrap break-words font-medium first-letter:uppercase">{detail ?? title}</p>
        {hint && <p className="mt-1 break-words text-mute">Hint: {hint}</p>}
        {id && <p className="mt-1 text-[12px] text-mute">Request {id}</p>}
      </div>
      {action}
    </div>
  );
}

/** What is told: the hub's own words, or those of the page where the error arose here. */
function problemIn(error: unknown): Pick<Problem, "title" | "detail" | "hint" | "request_id"> {
  if (error instanceof ApiError) return error.problem;
  return { title: error instanceof Error ? error.message : String(error) };
}
