// dev.mjs URL [FOLDER]: opens the page about an error in Chromium, light and wide, dark and narrow, opens a frame, and
// prints what went wrong: as pages.mjs, and what is wider than the screen. With a folder it writes pictures into it.
import { close, open } from "./browser.mjs";

const [url, folder] = process.argv.slice(2);

for (const [colorScheme, width] of [["light", 1280], ["dark", 400]]) {
  const name = `${colorScheme}-${width}`;
  const page = await open(name, url, { viewport: { width, height: 800 }, colorScheme }, (p) => {
    p.expected = /status of 500/;
  });
  await page.click("details:not([open]) summary");
  await page.waitForSelector("details[open] >> nth=1 >> text=outer");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  if (wide) console.log(`${name}: the page is wider than the screen`);
  const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  if ((back === "rgb(246, 247, 249)") !== (colorScheme === "light")) console.log(`${name}: the colour is ${back}`);
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}
await close();
console.log("done");
