import { Activity, ShieldCheck } from "lucide-react";
import { useEffect, type ReactNode } from "react";

/** The quiet page before the first screen. */
export function Frame({ title, text, children }: { title: string; text: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Springhouse`;
  }, [title]);
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <div className="w-full max-w-90">
        <div className="mb-5 flex items-center gap-2.5">
          <span className="grid size-8 place-items-center rounded-lg bg-accent/15 text-accent">
            <Activity size={18} aria-hidden />
          </span>
          <span className="text-[15px] font-semibold">Springhouse</span>
        </div>
        <div className="rounded-xl border border-line bg-panel p-6">
          <h1 className="text-[17px] font-semibold">{title}</h1>
          <p className="mt-1 text-[13px] leading-relaxed text-mute">{text}</p>
          <div className="mt-5">{children}</div>
        </div>
        <p className="mt-4 flex items-center gap-1.5 text-[12px] text-ok">
          <ShieldCheck size={13} aria-hidden />
          Nothing leaves this box
        </p>
      </div>
    </main>
  );
}
