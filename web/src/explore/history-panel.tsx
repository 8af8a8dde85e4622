import { useSyncExternalStore } from "react";
import { ago } from "../format/time";
import { Button } from "../ui/button";
import { Panel } from "../ui/panel";
import { asked, forgetAll, onHistory } from "./history";

const SHOWN = 8;

export function History({ onPick }: { onPick: (query: string) => void }) {
  const entries = useSyncExternalStore(onHistory, () => asked());
  if (entries.length === 0) return null;
  return (
    <Panel
      title="Asked before"
      hint={
        <Button look="quiet" className="-mr-2 h-7! px-2! text-[12px]!" onClick={() => forgetAll()}>
          Forget
        </Button>
      }
    >
      <ul>
        {entries.slice(0, SHOWN).map(({ query, at }) => (
          <li key={query} className="border-b border-line/50 last:border-0">
            <button type="button" onClick={() => onPick(query)} className="block w-full px-4 py-2 text-left hover:bg-raised/50" title={query}>
              <span className="block truncate font-mono text-[12px]">{query.replace(/\s+/g, " ")}</span>
              <span className="text-[11.5px] text-mute">{ago(at)}</span>
            </button>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
