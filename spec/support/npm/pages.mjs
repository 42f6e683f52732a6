// pages.mjs URL [FOLDER]: opens /docs and /redoc in Chromium, which can find no other host, uses them, and
// prints what went wrong: errors in the console, violations of the policy, requests to elsewhere. With a folder
// it writes pictures into it.
import { chromium } from "playwright-core";

const [url, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});

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
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.setDefaultTimeout(60000);
  page.on("console", (message) => console.log(`${name}: ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => console.log(`${name}: ${error}`));
  page.on("request", (request) => {
    if (!/^(data:|blob:)/.test(request.url()) && !request.url().startsWith(`${url}/`)) {
      console.log(`${name}: a request to ${request.url()}`);
    }
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(`${url}/${name}`);
  await use[name](page);
  for (const violation of await page.evaluate("window.violations")) console.log(`${name}: refused: ${violation}`);
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
}
await browser.close();
console.log("done");
