import { createContext } from "react";

/** What a screen's header can open in the shell around it. */
export const ShellContext = createContext({
  openDrawer: (): void => undefined,
  openPalette: (): void => undefined,
});
