import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Boxes, CornerDownLeft, Cpu, GitBranch, Plus, Search, SunMoon, type LucideIcon } from "lucide-react";
import { useId, useMemo, useState, type KeyboardEvent } from "react";
import { queries } from "../api/queries";
import { Dialog } from "../ui/dialog";
import { cx } from "../ui/cx";
import { matches, type Command } from "./commands";
import { PLACES } from "./navigation";
import { toggleTheme } from "./theme";

interface Entry extends Command {
  icon: LucideIcon;
  run: () => void;
}
/** Most entries that are listed at once; typing narrows. */
const SHOWN_MAX = 12;

export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="Commands" open={open} onClose={onClose} bare className="mt-[12vh] max-w-xl">
      {open && <Commands onClose={onClose} />}
    </Dialog>
  );
}

function Commands({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const id = useId();
  const entries = useEntries();
  const found = useMemo(() => matches(entries, text).slice(0, SHOWN_MAX), [entries, text]);
  const at = Math.min(active, found.length - 1);
  const run = (entry: Entry | undefined): void => {
    if (!entry) return;
    onClose();
    entry.run();
  };
  const onKey = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      setActive((at + step + found.length) % Math.max(1, found.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(found[at]);
    }
  };
  return (
    <>
      <div className="flex h-12 items-center gap-3 border-b border-line/70 px-4">
        <Search size={16} className="text-mute" aria-hidden />
        <input
          autoFocus
          role="combobox"
          aria-expanded
          aria-controls={`${id}-list`}
          aria-activedescendant={found[at] ? `${id}-${at}` : undefined}
          aria-label="Search or run a command"
          placeholder="Go to a screen, device or stream"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setActive(0);
          }}
          onKeyDown={onKey}
          className="h-full min-w-0 flex-1 bg-transparent text-[14px] outline-none placeholder:text-mute"
        />
        <kbd className="rounded border border-line px-1.5 font-sans text-[11px] text-mute">Esc</kbd>
      </div>
      <ul id={`${id}-list`} role="listbox" aria-label="Results" className="max-h-[50vh] overflow-y-auto p-1.5">
        {found.map((entry, index) => (
          <li
            key={entry.id}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onMouseMove={() => setActive(index)}
            onClick={() => run(entry)}
            className={cx("flex h-9 cursor-pointer items-center gap-2.5 rounded-md px-2.5 text-[13px]", index === at && "bg-raised")}
          >
            <entry.icon size={15} className="shrink-0 text-mute" aria-hidden />
            <span className="truncate">{entry.label}</span>
            <span className="ml-auto shrink-0 text-[12px] text-mute">{entry.kind}</span>
            {index === at && <CornerDownLeft size={13} className="text-mute" aria-hidden />}
          </li>
        ))}
      </ul>
      {found.length === 0 && <p role="status" className="px-4 pb-4 pt-1 text-[13px] text-mute">Nothing is called “{text}”.</p>}
    </>
  );
}

function useEntries(): Entry[] {
  const navigate = useNavigate();
  const devices = useQuery(queries.devices).data;
  const streams = useQuery(queries.streams).data;
  const pipelines = useQuery(queries.pipelines).data;
  return useMemo(() => {
    const go = (to: string, params: Record<string, string> = {}): (() => void) => () => {
      void navigate({ to, params } as never);
    };
    return [
      ...PLACES.map(({ to, label, icon }) => ({ id: to, label, kind: "Screen", icon, run: go(to) })),
      { id: "connect", label: "Connect a device", kind: "Command", icon: Plus, run: go("/connect") },
      { id: "pipeline", label: "New pipeline", kind: "Command", icon: GitBranch, run: go("/pipelines/new") },
      { id: "theme", label: "Change theme", kind: "Command", icon: SunMoon, run: toggleTheme },
      ...(devices ?? []).map(({ id }) => ({ id: `d:${id}`, label: id, kind: "Device", icon: Cpu, run: go("/devices/$id", { id }) })),
      ...(streams ?? []).map(({ name }) => ({
        id: `s:${name}`, label: name, kind: "Stream", icon: Boxes, run: go("/streams/$name", { name }),
      })),
      ...(pipelines ?? []).map(({ name }) => ({
        id: `p:${name}`, label: name, kind: "Pipeline", icon: GitBranch, run: go("/pipelines/$name", { name }),
      })),
    ];
  }, [navigate, devices, streams, pipelines]);
}
