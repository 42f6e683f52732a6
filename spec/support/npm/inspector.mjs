// inspector.mjs APP PAGE [FOLDER]: uses the inspector's page in Chromium, and prints what went wrong. With a folder
// it writes pictures into it.
import assert from "node:assert/strict";
import { close, open } from "./browser.mjs";

const [app, address, folder] = process.argv.slice(2);
const request = (path) => fetch(`${app}${path}`).then((answer) => answer.text(), () => "");

async function pictures(page, name) {
  if (!folder) return;
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of [[1280, 900], [400, 860]]) {
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: `${folder}/${name}-${colorScheme}-${width}.png` });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
}

const page = await open("inspector", address);
const text = (selector) => page.locator(selector).first().textContent();

// The secret is gone from the address, and a reload works.
assert.equal(page.url(), `${new URL(address).origin}/`);
await page.waitForSelector("#link.live");
await page.reload();
await page.waitForSelector("#link.live");
await page.waitForSelector("#verdict.calm >> text=Nothing holds up the loop.");

// Who holds up the loop: while it does, and afterwards.
const report = request("/report/2026?s=6");
await page.waitForSelector("#verdict.bad >> text=is holding up the loop");
assert.match(await text("#verdict-text"), /^GET \/report\/\{year:int\} \(request \d+\) is holding up the loop: [\d.]+ m?s so far, at app\.lua:\d+$/);
await pictures(page, "holding");
await report;
await page.waitForSelector("#verdict.warn >> text=has held up the loop");
assert.match(await text("#verdict-text"), /^GET \/report\/\{year:int\} has held up the loop for [\d.]+ s, at app\.lua:\d+$/);
await page.click("#verdict-trace summary");
assert.match(await text("#verdict-trace pre"), /app\.lua:\d+: in function/);
await page.keyboard.press("Tab");

// A group is opened, a hundred tasks at a time.
const many = request("/spawn/150");
const group = page.locator("#groups > tbody > tr", { hasText: "task of app.lua" });
await group.getByRole("button").click();
const rows = page.locator("tr.inside tbody > tr");
await page.waitForFunction(() => document.querySelectorAll("tr.inside tbody > tr").length === 100);
await page.getByRole("button", { name: "Next 100" }).click();
await page.waitForFunction(() => document.querySelectorAll("tr.inside tbody > tr").length === 50);
await page.getByRole("button", { name: "Previous 100" }).click();
await page.waitForFunction(() => document.querySelectorAll("tr.inside tbody > tr").length === 100);

// Where a task is.
await rows.first().getByRole("button").first().click();
await page.waitForSelector("tr.inside pre >> text=app.lua:2: in function");
assert.match(await text("tr.inside .detail"), /Started by #\d+ GET \/spawn\/\{n:int\} \(request \d+\)/);
await pictures(page, "tasks");

// A cancel asks first, with the keyboard: no, then yes.
const name = await text("tr.inside tbody > tr:first-child td:first-child button");
const cancel = page.getByRole("button", { name: `Cancel task ${name.slice(1).trim()}…` });
await cancel.focus();
await page.keyboard.press("Enter");
await page.waitForSelector("dialog[open]");
assert.match(await text("#confirm-title"), new RegExp(`^Cancel task ${name.slice(1).trim()}\\?$`));
assert.equal(await page.evaluate(() => document.activeElement.id), "confirm-no");
await pictures(page, "cancel");
await page.keyboard.press("Enter");
await page.waitForSelector("dialog:not([open])", { state: "attached" });
assert.equal(await cancel.count(), 1);
await cancel.click();
await page.click("#confirm-yes");
await page.waitForSelector(`#tasks-note >> text=Task ${name.slice(1).trim()} was cancelled.`);
await cancel.waitFor({ state: "detached" });

// Requests, and what one waited for.
await request("/quick");
await request("/nothing");
await page.click("#tab-requests");
await page.locator("#flight", { hasText: "/spawn/150" }).waitFor();
await page.click("#done tr:has-text('/quick') button >> nth=0");
await page.waitForSelector("tr.inside .fall >> text=executor");
await pictures(page, "requests");

// The other parts, by the keyboard.
await page.focus("#tab-requests");
await page.keyboard.press("ArrowRight");
await page.waitForSelector("#panel-loop #held >> text=GET /report/{year:int}");
await page.click("#held .twist");
await page.waitForSelector("#held pre >> text=in function");
await pictures(page, "held");
await page.keyboard.press("Tab");
await page.focus("#tab-loop");
await page.keyboard.press("ArrowRight");
await page.waitForSelector("#routes tr:has-text('GET /quick') >> text=1");
await pictures(page, "routes");
await page.keyboard.press("ArrowRight");
await page.waitForSelector("#panel-resources >> text=Lua's heap");
await pictures(page, "resources");
assert.ok(Number(await page.evaluate(() => document.documentElement.dataset.drawn)) < 10000);

// Every control has a name.
assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll("button, select, input")].filter((element) =>
  !(element.ariaLabel || element.textContent.trim())).map((element) => element.outerHTML)), []);

// Without the secret.
const stranger = await open("stranger", `${new URL(address).origin}/`, {}, (other) => { other.expected = /401/; });
await stranger.waitForSelector("#verdict >> text=The secret is missing or wrong");
await close();
void many;
console.log("done");
process.exit(0);
