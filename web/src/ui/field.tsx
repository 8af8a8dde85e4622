import { useId, type InputHTMLAttributes, type ReactNode } from "react";
import { Search } from "lucide-react";
import { cx } from "./cx";

export const INPUT =
  "h-8 w-full min-w-0 rounded-md border border-edge/70 bg-bg px-2.5 text-[13px] text-ink placeholder:text-mute aria-invalid:border-bad";

interface Props extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: ReactNode;
  problem?: string | null;
}
/** A labelled input with its hint and its problem tied to it for screen readers. */
export function Field({ label, hint, problem, className, ...rest }: Props) {
  const id = useId();
  const note = problem ?? hint;
  return (
    <div className={className}>
      <label htmlFor={id} className="block text-[12px] text-mute">
        {label}
      </label>
      <input
        id={id}
        className={cx(INPUT, "mt-1")}
        aria-invalid={problem ? true : undefined}
        aria-describedby={note ? `${id}-note` : undefined}
        {...rest}
      />
      {note && (
        <p id={`${id}-note`} className={cx("mt-1 text-[12px]", problem ? "text-bad" : "text-mute")}>
          {note}
        </p>
      )}
    </div>
  );
}

export function SearchField({ label, className, ...rest }: InputHTMLAttributes<HTMLInputElement> & { label: string }) {
  return (
    <div className={cx("relative min-w-0", className)}>
      <Search size={14} className="pointer-events-none absolute left-2.5 top-2.25 text-mute" aria-hidden />
      <input type="search" aria-label={label} placeholder={label} className={cx(INPUT, "pl-8")} {...rest} />
    </div>
  );
}

export function Checkbox({ label, hint, ...rest }: InputHTMLAttributes<HTMLInputElement> & { label: string; hint?: string }) {
  const id = useId();
  return (
    <div className="flex items-start gap-2.5">
      <input
        id={id}
        type="checkbox"
        aria-describedby={hint ? `${id}-hint` : undefined}
        className="mt-0.5 grid size-4 shrink-0 cursor-pointer appearance-none place-items-center rounded border border-edge bg-bg before:hidden before:size-2 before:rounded-[2px] before:bg-on-accent checked:border-accent checked:bg-accent checked:before:block"
        {...rest}
      />
      <label htmlFor={id} className="cursor-pointer text-[13px] leading-5">
        {label}
        {hint && (
          <span id={`${id}-hint`} className="block text-[12px] text-mute">
            {hint}
          </span>
        )}
      </label>
    </div>
  );
}
