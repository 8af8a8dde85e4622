import type { Problem } from "./types";

/** A refusal of the hub (problem+json), or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = "ApiError";
  }
  get status(): number {
    return this.problem.status;
  }
  /** The hub could not be reached; it may come back. */
  get isOffline(): boolean {
    return this.problem.status === 0;
  }
}

export function offline(): ApiError {
  return new ApiError({
    title: "The hub does not answer",
    status: 0,
    code: "offline",
    hint: "is it running? The page tries again by itself",
  });
}

/** Reads whatever body a failed answer has; proxies in between may answer with HTML. */
export async function problemOf(response: Response): Promise<ApiError> {
  const kind = response.headers.get("content-type") ?? "";
  const text = await response.text().catch(() => "");
  if (kind.includes("json")) {
    try {
      const body = JSON.parse(text) as Partial<Problem>;
      return new ApiError({ ...body, title: body.title ?? response.statusText, status: response.status });
    } catch {
      // Falls through: the body lied about being JSON.
    }
  }
  const detail = kind.startsWith("text/plain") && text.length < 300 ? text : undefined;
  return new ApiError({ title: response.statusText || `Status ${response.status}`, status: response.status, detail });
}
