/** Colors of lines that mean nothing by themselves, in the order in which they are given. */
export const LINE_COLORS = ["--color-accent", "--color-solar", "--color-load", "--color-grid", "--color-batt", "--color-warn", "--color-bad"] as const;

export function lineColor(index: number): string {
  return LINE_COLORS[index % LINE_COLORS.length] ?? "--color-accent";
}

/** What a custom property is in the theme that is shown; a canvas cannot resolve `var()`. */
export function resolved(property: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(property).trim();
}

/** The color with an opacity; the theme's colors are written in functions with room for one. */
export function faded(color: string, opacity: number): string {
  if (/^#[0-9a-f]{6}$/i.test(color)) return color + Math.round(opacity * 255).toString(16).padStart(2, "0");
  return color.includes("(") ? color.replace(")", ` / ${opacity})`) : color;
}
