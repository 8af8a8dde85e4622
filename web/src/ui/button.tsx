import { Link, type LinkProps } from "@tanstack/react-router";
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { cx } from "./cx";

type Look = "primary" | "plain" | "quiet" | "danger";
const LOOKS: Record<Look, string> = {
  primary: "bg-accent text-on-accent font-medium hover:brightness-110 disabled:opacity-50",
  plain: "border border-line bg-panel text-ink hover:bg-raised disabled:text-mute disabled:opacity-60",
  quiet: "text-mute hover:text-ink hover:bg-raised disabled:opacity-60",
  danger: "border border-bad/60 text-bad hover:bg-bad/10 disabled:opacity-60",
};
const SHAPE = "inline-flex h-8 shrink-0 items-center justify-center gap-1.5 whitespace-nowrap rounded-md px-3 text-[13px]";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  icon?: ReactNode;
}
export function Button({ look = "plain", icon, className, children, ...rest }: Props) {
  return (
    <button type="button" className={cx(SHAPE, LOOKS[look], className)} {...rest}>
      {icon}
      {children}
    </button>
  );
}

/** A button of which only the icon is seen; the label is read aloud and shown as a tip. */
export function IconButton({ label, className, children, ...rest }: Props & { label: string }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className={cx(
        "grid size-8 shrink-0 place-items-center rounded-md text-mute hover:bg-raised hover:text-ink disabled:opacity-50",
        className,
      )}
      {...rest}
    >
      {children}
    </button>
  );
}

export function LinkButton({
  look = "plain",
  icon,
  children,
  ...rest
}: LinkProps & { look?: Look; icon?: ReactNode; children: ReactNode }) {
  return (
    <Link className={cx(SHAPE, LOOKS[look])} {...rest}>
      {icon}
      {children}
    </Link>
  );
}
