// pages.mjs URL [FOLDER]: opens /docs and /redoc in Chromium, which can find no other host, uses them, and
// prints what went wrong: errors in the console, violations of the policy, requests to elsewhere. With a folder
// it writes pictures into it.
import { close, open } from "./browser.mjs";

const [url, folder] = process.argv.slice(2);

const use = {
  async docs(page) {
    await page.click(".opblock-summary");
    await page.click(".try-out__btn");
    await page.fill("tr[data-param-name=id] input", "3");
    await page.click(".execute");
    await page.waitForSelector(".live-responses-table >> text=lamp");
  },
  async redoc(page) {
    await page.waitForSelector("text=One item");
    await page.fill("[role=search] input", "item");
    await page.waitForSelector("[data-role='search:results'] label");
  },
};

for (const name of ["docs", "redoc"]) {
  const page = await open(name, `${url}/${name}`);
  await use[name](page);
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
}
await close();
console.log("done");
