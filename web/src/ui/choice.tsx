import { Check, ChevronDown } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";
import { cx } from "./cx";

export const MENU =
  "z-50 max-h-[min(360px,var(--radix-dropdown-menu-content-available-height))] min-w-40 overflow-auto rounded-lg border border-line bg-panel p-1 shadow-xl shadow-black/30 animate-pop";
export const MENU_ITEM =
  "flex h-8 cursor-pointer select-none items-center gap-2 rounded-md px-2 text-[13px] outline-none data-[highlighted]:bg-raised data-[disabled]:opacity-50";

export interface Option<T extends string> {
  value: T;
  label: ReactNode;
}
interface Props<T extends string> {
  label: string;
  value: T;
  options: readonly Option<T>[];
  onChange: (value: T) => void;
  icon?: ReactNode;
  className?: string;
}
/** One of a few, chosen from a menu; `label` names it for screen readers and stands before the value. */
export function Choice<T extends string>({ label, value, options, onChange, icon, className }: Props<T>) {
  const chosen = options.find((option) => option.value === value);
  const name = typeof chosen?.label === "string" ? chosen.label : value;
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger
        aria-label={`${label}: ${name || "any"}`}
        className={cx(
          "inline-flex h-8 min-w-0 items-center gap-2 rounded-md border border-line bg-panel px-2.5 text-[13px] hover:bg-raised data-[state=open]:bg-raised",
          className,
        )}
      >
        {icon && <span className="text-mute">{icon}</span>}
        <span className="truncate">{chosen?.label ?? value}</span>
        <ChevronDown size={14} className="ml-auto shrink-0 text-mute" aria-hidden />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align="start" sideOffset={4} className={MENU} aria-label={label}>
          <DropdownMenu.RadioGroup value={value} onValueChange={(next) => onChange(next as T)}>
            {options.map((option) => (
              <DropdownMenu.RadioItem key={option.value} value={option.value} className={MENU_ITEM}>
                <span className="min-w-0 truncate">{option.label}</span>
                <DropdownMenu.ItemIndicator className="ml-auto pl-4">
                  <Check size={14} className="text-accent" aria-hidden />
                </DropdownMenu.ItemIndicator>
              </DropdownMenu.RadioItem>
            ))}
          </DropdownMenu.RadioGroup>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
