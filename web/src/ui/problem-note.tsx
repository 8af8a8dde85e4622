import { TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { ApiError } from "../api/problem";

/** An error as the hub told it: what, why in detail, and what to do. */
export function ProblemNote({ error, action }: { error: unknown; action?: ReactNode }) {
  if (!error) return null;
  const problem = error instanceof ApiError ? error.problem : { title: error instanceof Error ? error.message : String(error) };
  const { title, detail, hint, request_id: id } = { detail: undefined, hint: undefined, request_id: undefined, ...problem };
  return (
    <div role="alert" className="flex gap-3 rounded-lg border border-bad/40 bg-bad/8 px-3.5 py-3 text-[13px]">
      <TriangleAlert size={16} className="mt-0.5 shrink-0 text-bad" aria-hidden />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{title}</p>
        {detail && detail !== title && <p className="mt-0.5 whitespace-pre-wrap break-words text-mute">{detail}</p>}
        {hint && <p className="mt-1 break-words">Hint: {hint}</p>}
        {id && <p className="mt-1 text-[12px] text-mute">Request {id}</p>}
      </div>
      {action}
    </div>
  );
}
