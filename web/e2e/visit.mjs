// A browser that notices what a person would call broken: errors in the console, failed requests, violations of WCAG,
// and a page that is wider than its window.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const WAIT_MS = 20_000;
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

export async function openBrowser() {
  const executablePath = process.env.CHROMIUM;
  if (!executablePath) throw new Error("CHROMIUM is not set; hint: scripts/web.sh e2e finds it");
  // Chromium's own sandbox needs user namespaces, which containers of CI seldom give; only the hub's page is opened.
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/** A window with eyes on it; `mishaps` is what went wrong since it was opened. */
export async function openWindow(browser, { width = 1440, height = 900, theme = "dark", storageState } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, storageState });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  const mishaps = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") mishaps.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => mishaps.push(`exception: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 400) mishaps.push(`${response.status()} ${response.request().method()} ${response.url()}`);
  });
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    // A question that nobody waits for any more is taken back: that is no failure.
    if (why !== "net::ERR_ABORTED") mishaps.push(`${why} ${request.url()}`);
  });
  return { page, mishaps };
}

export async function settled(page, title) {
  await page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
  await page.waitForFunction(() => document.querySelector('[aria-label="Loading"]') === null);
}

/** Nothing went wrong on the way here, nothing is hidden from anybody, nothing sticks out. */
export async function assertSound({ page, mishaps }, where) {
  assert.deepEqual(mishaps, [], `on ${where}`);
  const surplus = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(surplus <= 0, `${where} is ${surplus} px wider than its window`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate((values) => window.axe.run({ runOnly: { type: "tag", values } }), WCAG);
  const told = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`);
  assert.deepEqual(told, [], `axe-core on ${where}`);
}

/** Replaces the statement that an SQL editor begins with, once it stands there. */
export async function write(page, editor, text) {
  const box = page.getByRole("textbox", { name: editor });
  await box.filter({ hasText: "FROM" }).waitFor();
  await box.fill(text);
}

export const chart = (page, name) => page.locator(`[role="img"][aria-label^="${name}"]`);

/** Waits until a chart has at least so many points. */
export async function drawn(locator, points = 1) {
  await locator.first().waitFor();
  await locator.first().evaluate(
    (element, least) =>
      new Promise((resolve) => {
        const look = () => Number(element.dataset.points) >= least && (observer.disconnect(), resolve());
        const observer = new MutationObserver(look);
        observer.observe(element, { attributes: true });
        look();
      }),
    points,
  );
}
