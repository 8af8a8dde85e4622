import { Menu, Moon, Search, Sun } from "lucide-react";
import { use, useEffect, type ReactNode } from "react";
import { IconButton } from "../ui/button";
import { cx } from "../ui/cx";
import { AccountMenu } from "./account-menu";
import { LiveBadge } from "./live-badge";
import { RangePicker } from "./range-picker";
import { ShellContext } from "./shell-context";
import { toggleTheme, useTheme } from "./theme";

interface Props {
  title: string;
  /** What the screen shows, in one short line. */
  sub?: ReactNode;
  actions?: ReactNode;
  /** The screen's charts follow the time range. */
  hasRange?: boolean;
  children: ReactNode;
}
export function Page({ title, sub, actions, hasRange = false, children }: Props) {
  const { openDrawer, openPalette } = use(ShellContext);
  const theme = useTheme();
  useEffect(() => {
    document.title = `${title} · Springhouse`;
  }, [title]);
  return (
    <>
      <header className="sticky top-0 z-30 border-b border-line bg-bg/92 backdrop-blur-sm">
        <div className="flex h-14 items-center gap-2 px-4 lg:px-6">
          <IconButton label="Open navigation" className="-ml-2 lg:hidden" onClick={openDrawer}>
            <Menu size={18} />
          </IconButton>
          <div className="min-w-0">
            <h1 className="truncate text-[15px] font-semibold leading-tight">{title}</h1>
            {sub && <div className="truncate text-[12px] leading-tight text-mute tabular-nums">{sub}</div>}
          </div>
          <div className="ml-auto flex items-center gap-2">
            {actions && <div className="flex items-center gap-2 max-md:hidden">{actions}</div>}
            <LiveBadge />
            {hasRange && <RangePicker className="max-md:hidden" />}
            <button
              type="button"
              onClick={openPalette}
              className="flex h-8 items-center gap-2 rounded-md border border-line bg-panel px-2.5 text-[13px] text-mute hover:bg-raised xl:w-60"
            >
              <Search size={14} aria-hidden />
              <span className="max-xl:sr-only">Search or run a command</span>
              <kbd className="ml-auto rounded border border-line px-1 font-sans text-[11px] max-xl:hidden">⌘K</kbd>
            </button>
            <IconButton label={theme === "dark" ? "Light theme" : "Dark theme"} className="max-sm:hidden" onClick={toggleTheme}>
              {theme === "dark" ? <Sun size={16} /> : <Moon size={16} />}
            </IconButton>
            <AccountMenu />
          </div>
        </div>
        {(actions || hasRange) && (
          <div className={cx("flex items-center gap-2 overflow-x-auto px-4 pb-2.5 md:hidden")}>
            {hasRange && <RangePicker />}
            {actions}
          </div>
        )}
      </header>
      <main id="main" tabIndex={-1} className="p-4 outline-none lg:p-6">
        {children}
      </main>
    </>
  );
}
