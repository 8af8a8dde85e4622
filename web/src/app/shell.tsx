import { Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { Navigation } from "./navigation";
import { Palette } from "./palette";
import { ShellContext } from "./shell-context";

/** Navigation beside every screen; on a narrow window it waits in a drawer. */
export function Shell() {
  const [drawer, setDrawer] = useState(false);
  const [palette, setPalette] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  useEffect(() => setDrawer(false), [path]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPalette((open) => !open);
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <ShellContext value={{ openDrawer: () => setDrawer(true), openPalette: () => setPalette(true) }}>
      <a
        href="#main"
        className="sr-only z-50 rounded-md bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:left-3 focus:top-3"
      >
        Skip to content
      </a>
      <div className="grid min-h-dvh grid-cols-[minmax(0,1fr)] lg:grid-cols-[216px_minmax(0,1fr)]">
        <div className="sticky top-0 hidden h-dvh border-r border-line lg:block">
          <Navigation />
        </div>
        <div className="min-w-0">
          <Outlet />
        </div>
      </div>
      <Drawer open={drawer} onClose={() => setDrawer(false)} />
      <Palette open={palette} onClose={() => setPalette(false)} />
    </ShellContext>
  );
}

function Drawer({ open, onClose }: { open: boolean; onClose: () => void }) {
  const [dialog, setDialog] = useState<HTMLDialogElement | null>(null);
  useEffect(() => {
    if (open && dialog && !dialog.open) dialog.showModal();
  }, [open, dialog]);
  if (!open) return null;
  return (
    <dialog
      ref={setDialog}
      aria-label="Navigation"
      onCancel={onClose}
      onMouseDown={(event) => {
        if (event.target === dialog) onClose();
      }}
      className="m-0 h-dvh max-h-none w-65 max-w-[80vw] border-0 border-r border-line bg-panel p-0"
    >
      <Navigation onNavigate={onClose} />
    </dialog>
  );
}
