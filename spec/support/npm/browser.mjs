// Chromium for the programs here: it finds no host but 127.0.0.1, and what goes wrong in a page is printed.
import { chromium } from "playwright-core";

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});

// A page of a browser of its own (what it stores is its own) at `url`. It prints, behind `name`: what the console
// is told, errors, requests to other hosts, violations of the policy. `expected`, if it is set, is a pattern for
// what the console may be told. `options` are those of a context; `before(page)` is called before it is opened.
export async function open(name, url, options, before) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60000);
  page.on("console", (message) => {
    const text = message.text();
    if (text.startsWith("refused by the policy: ") || !page.expected?.test(text)) {
      console.log(`${name}: ${message.type()}: ${text}`);
    }
  });
  page.on("pageerror", (error) => console.log(`${name}: ${error}`));
  const { origin } = new URL(url);
  page.on("request", (request) => {
    if (!/^(data:|blob:)/.test(request.url()) && new URL(request.url()).origin !== origin) {
      console.log(`${name}: a request to ${request.url()}`);
    }
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.log(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await before?.(page);
  await page.goto(url);
  return page;
}

export const close = () => browser.close();
