import { useQuery } from "@tanstack/react-query";
import { queries } from "../api/queries";
import { ApiError } from "../api/problem";
import { useTailState } from "../tail/use-tail";
import { Dot, type Tone } from "../ui/badge";

/** Whether what the person sees is up to date: the socket's state, and the hub's when a screen needs no socket. */
export function LiveBadge() {
  const tail = useTailState();
  const { error } = useQuery(queries.overview);
  const isAway = error instanceof ApiError && error.isOffline;
  const [tone, text, tip]: [Tone, string, string] =
    tail === "lost" || isAway
      ? ["bad", "Reconnecting", "The connection to the hub is lost; the page tries again by itself"]
      : tail === "connecting"
        ? ["warn", "Connecting", "The live connection is being opened"]
        : tail === "live"
          ? ["ok", "Live", "New readings appear as they come"]
          : ["ok", "Connected", "The hub answers; this screen needs no live connection"];
  const color = { ok: "text-ok", warn: "text-warn", bad: "text-bad", accent: "", mute: "" }[tone];
  return (
    <div role="status" title={tip} className={`flex items-center gap-1.5 px-1 text-[12px] ${color}`} data-tail={tail}>
      <Dot tone={tone} />
      <span className="max-sm:sr-only">{text}</span>
    </div>
  );
}
