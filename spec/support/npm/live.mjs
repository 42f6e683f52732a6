// live.mjs chat|cursors|dashboard URL [FOLDER]: uses a page of scripts/examples/live at URL in Chromium, with
// networks that fail, and prints what went wrong. With a folder it writes pictures into it.
import assert from "node:assert/strict";
import { close, open } from "./browser.mjs";
import { network } from "./network.mjs";

const [kind, url, folder] = process.argv.slice(2);
const LOST = /ERR_CONNECTION_|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|WebSocket connection to|ERR_NETWORK/;

const is = (page, state) => page.waitForSelector(`#state[data-state=${state}]`);

// Writes pictures of a page: light and dark, wide and narrow.
async function pictures(page, name) {
  if (!folder) return;
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of [[1100, 720], [390, 760]]) {
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(200); // transitions
      await page.screenshot({ path: `${folder}/${name}-${colorScheme}-${width}.png` });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1100, height: 720 });
}

// What f does while the network is cut, and after it is mended; the page notices both.
async function without(line, page, f) {
  page.expected = LOST;
  line.cut();
  await is(page, "lost");
  await f();
  await line.mend();
  await is(page, "open");
  page.expected = undefined;
}

// A network that is gone without a word: the page asks after a while, and gives up a while later.
async function silence(line, page) {
  page.expected = LOST;
  line.freeze();
  await page.clock.runFor(31000);
  await is(page, "lost");
  line.thaw();
  await page.clock.resume();
  await is(page, "open");
  page.expected = undefined;
}

const withClock = (page) => page.clock.install();

const use = {
  async chat(line) {
    const enter = async (page, name) => {
      await page.fill("#name", name);
      await page.click("#who button");
      await is(page, "open");
    };
    const say = async (page, text) => {
      await page.fill("#text", text);
      await page.press("#text", "Enter");
    };
    const message = (page, text) => page.locator(".message:not(.waiting) .text", { hasText: text });
    const has = (page, text) => message(page, text).waitFor();
    const once = async (page, text) => assert.equal(await message(page, text).count(), 1, text);

    const ann = await open("Ann", url);
    await enter(ann, "Ann");
    const ben = await open("Ben", line.url, {}, withClock);
    await enter(ben, "Ben");
    await ann.waitForSelector(".notice >> text=Ben is here");
    await say(ann, "Good day, <b>Ben</b>!");
    await has(ben, "Good day, <b>Ben</b>!");
    await say(ben, "And to you, Ann.");
    await has(ann, "And to you, Ann.");
    await has(ben, "And to you, Ann.");
    assert.equal(await ben.locator(".message.own").count(), 1);

    // Another room hears nothing of it.
    const cleo = await open("Cleo", `${url}/#garden`);
    await enter(cleo, "Cleo");
    await say(cleo, "Is anybody in the garden?");
    await has(cleo, "Is anybody in the garden?");
    assert.equal(await cleo.locator(".message").count(), 1);
    assert.equal(await message(ann, "garden").count(), 0);

    // A reload: who and what was said is kept.
    await ann.reload();
    await is(ann, "open");
    await has(ann, "And to you, Ann.");
    await once(ann, "Good day");
    await say(ann, "I am here again.");
    await has(ben, "I am here again.");

    // A lost network: what Ben says meanwhile waits, what Ann says is there afterwards; each once.
    await without(line, ben, async () => {
      await say(ben, "Does anybody hear me?");
      await ben.waitForSelector(".message.waiting");
      await pictures(ben, "chat-lost");
      await say(ann, "Where is Ben?");
      await has(ann, "Where is Ben?");
    });
    await has(ben, "Where is Ben?");
    await has(ben, "Does anybody hear me?");
    await has(ann, "Does anybody hear me?");
    for (const page of [ann, ben]) {
      for (const text of ["Good day", "Where is Ben?", "Does anybody hear me?"]) await once(page, text);
    }
    await silence(line, ben);
    await say(ann, "Still there?");
    await has(ben, "Still there?");
    await once(ben, "Good day");
    await pictures(ann, "chat");

    // Rooms by their names.
    await ann.fill("#room-name", "tea-room");
    await ann.press("#room-name", "Enter");
    await ann.waitForSelector("h1 >> text=tea-room");
    await is(ann, "open");
    await ben.waitForSelector(".notice >> text=Ann has left");
  },

  async cursors(line) {
    const name = async (page) => {
      await page.waitForSelector("#me:not(:empty)");
      return (await page.textContent("#me")).replace("You are ", "");
    };
    const cursor = (page, who) => page.locator(".cursor", { hasText: who });
    const at = async (page, who) => {
      const box = await cursor(page, who).evaluate((element) => element.style.transform);
      return box.match(/[\d.]+/g).map(Number);
    };
    const move = async (page, x, y) => {
      const box = await page.locator("#area").boundingBox();
      await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
    };
    const near = async (page, who, x, y) => {
      const box = await page.locator("#area").boundingBox();
      for (;;) {
        const [left, top] = await at(page, who);
        if (Math.abs(left - x * box.width) < 2 && Math.abs(top - y * box.height) < 2) return;
        await page.waitForTimeout(20);
      }
    };

    const one = await open("one", url);
    const two = await open("two", line.url, {}, withClock);
    await is(one, "open");
    await is(two, "open");
    const first = await name(one);
    const second = await name(two);
    await move(one, 0.25, 0.3);
    await cursor(two, first).waitFor();
    await near(two, first, 0.25, 0.3);
    await move(two, 0.7, 0.6);
    await cursor(one, second).first().waitFor();
    await one.waitForSelector("#count >> text=One other is here.");
    await pictures(two, "cursors");
    await move(one, 0.96, 0.95);
    await near(two, first, 0.96, 0.95);
    assert.equal(await two.locator(".cursor").count(), 1);

    // By keys.
    await one.focus("#area");
    for (let i = 0; i < 10; i++) await one.keyboard.press("ArrowLeft");
    await near(two, first, 0.96 - 0.2, 0.95);

    // A reload is another visitor; the one before is gone.
    await one.reload();
    const again = await name(one);
    await is(one, "open");
    await two.waitForSelector("#count >> text=Nobody else is here.");
    await move(one, 0.5, 0.5);
    await cursor(two, again).waitFor();
    assert.equal(await two.locator(".cursor").count(), 1);

    // A lost network: nobody else is seen meanwhile, and everybody afterwards, where they are by then.
    await without(line, two, async () => {
      assert.equal(await two.locator(".cursor").count(), 0);
      await one.waitForSelector("#count >> text=Nobody else is here.");
      await move(one, 0.4, 0.4);
    });
    await cursor(two, again).waitFor();
    await near(two, again, 0.4, 0.4);
    await one.waitForSelector("#count >> text=One other is here."); // where its pointer was
    await silence(line, two);
    await cursor(two, again).waitFor();
  },

  async dashboard(line) {
    const value = async (page) => Number(await page.textContent(".worker .value"));
    const one = await open("one", url);
    const two = await open("two", line.url, {}, withClock);
    for (const page of [one, two]) {
      await is(page, "open");
      await page.waitForSelector("h2 >> text=Worker 1");
    }
    await one.click("#work");
    for (const page of [one, two]) while (await value(page) < 20) await page.waitForTimeout(50);
    await one.waitForTimeout(folder ? 6000 : 0);
    await pictures(one, "dashboard");

    await one.reload();
    await is(one, "open");
    await one.waitForSelector("h2 >> text=Worker 1");

    await without(line, two, async () => {
      await two.waitForSelector("main.stale");
      await pictures(two, "dashboard-lost");
    });
    const points = () => two.locator("polyline").first().getAttribute("points");
    const before = await points();
    while (await points() === before) await two.waitForTimeout(50);
    await silence(line, two);
    assert.equal(await two.locator("main.stale").count(), 0);
  },
};

const line = await network(url);
await use[kind](line);
await close();
line.close();
console.log("done");
