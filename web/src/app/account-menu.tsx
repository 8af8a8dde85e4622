import { useQuery } from "@tanstack/react-query";
import { LogOut, SunMoon, UserRound } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { api } from "../api/client";
import { queries } from "../api/queries";
import { MENU, MENU_ITEM } from "../ui/choice";
import { toggleTheme } from "./theme";

export function AccountMenu() {
  const me = useQuery(queries.me).data;
  const version = useQuery(queries.overview).data?.version;
  const signOut = (): void => {
    void api.signOut().finally(() => window.location.assign("/sign-in"));
  };
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger
        aria-label={`Account of ${me?.name ?? "you"}`}
        className="grid size-8 shrink-0 place-items-center rounded-full bg-raised text-mute hover:text-ink"
      >
        <UserRound size={15} aria-hidden />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content align="end" sideOffset={6} className={MENU} aria-label="Account">
          <DropdownMenu.Label className="px-2 pb-1.5 pt-1 text-[12px] text-mute">
            <span className="block font-medium text-ink">{me?.name ?? "Signed in"}</span>
            {me?.scopes.join(", ")}
            {version && ` · version ${version}`}
          </DropdownMenu.Label>
          <DropdownMenu.Item className={MENU_ITEM} onSelect={toggleTheme}>
            <SunMoon size={14} aria-hidden />
            Change theme
          </DropdownMenu.Item>
          <DropdownMenu.Item className={MENU_ITEM} onSelect={signOut}>
            <LogOut size={14} aria-hidden />
            Sign out
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
