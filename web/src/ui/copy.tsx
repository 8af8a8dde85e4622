import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { IconButton } from "./button";

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <IconButton
      label={done ? "Copied" : label}
      onClick={() => {
        void copyText(text).then(setDone);
      }}
    >
      {done ? <Check size={15} className="text-ok" /> : <Copy size={15} />}
    </IconButton>
  );
}

/** The clipboard API exists only on https and localhost; a hub in the house is often neither. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

/** Text to paste elsewhere, with a button that copies it. */
export function CopyBox({ text, label }: { text: string; label: string }) {
  return (
    <div className="flex items-start rounded-lg border border-line bg-bg">
      <pre tabIndex={0} aria-label={label} className="min-w-0 flex-1 overflow-x-auto px-3.5 py-2.5 font-mono text-[12.5px] leading-relaxed">
        {text}
      </pre>
      <div className="p-1">
        <CopyButton text={text} label={`Copy ${label.toLowerCase()}`} />
      </div>
    </div>
  );
}
