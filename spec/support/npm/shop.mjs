// shop.mjs URL [FOLDER]: buys in scripts/examples/shop at URL, in Chromium, where ann with the password "correct horse"
// runs it, and prints what went wrong. With a folder it writes pictures into it.
import { close, open } from "./browser.mjs";
import { network } from "./network.mjs";

const [url, folder] = process.argv.slice(2);
const LOST = /ERR_CONNECTION_|WebSocket connection to|ERR_NETWORK/;
const LAMP = "<b>lamp</b><script>alert(1)</script>";

const line = await network(url);
const picture = async (page, name) => folder && page.screenshot({ path: `${folder}/${name}.png` });
const shows = (page, stock) => page.waitForSelector(`[data-stock] >> text="${stock}"`);

async function enter(page, name, button) {
  await page.fill("[name=name]", name);
  await page.fill("[name=password]", "correct horse");
  await page.click(`button:has-text("${button}")`);
  await page.waitForSelector(`text=Log out ${name}`);
}

// What is sold, with a name that means harm.
const ann = await open("Ann", `${url}/login`);
await enter(ann, "ann", "Log in");
await ann.click("text=Admin");
await ann.fill("[name=name]", LAMP);
await ann.fill("[name=price]", "12.50");
await ann.click('button:has-text("Add")');
await ann.fill("[name=count]", "5");
await ann.click('button:has-text("Have come")');
await shows(ann, 5);

// Who looks on sees what others buy.
const guest = await open("a guest", line.url);
await guest.waitForSelector(`text=${LAMP}`);
await shows(guest, 5);
const ben = await open("Ben", `${url}/cart`);
await enter(ben, "ben", "Register");
await ben.fill("[name=count]", "2");
await ben.click('button:has-text("Into the cart")');
await picture(ben, "cart");
await ben.click('button:has-text("Pay 25.00")');
await ben.waitForSelector("text=/Order 1, (placed|paid)/");
await shows(guest, 3);
await shows(ann, 3);
await picture(guest, "shop");

// What happens while the network is away is seen afterwards.
guest.expected = LOST;
line.cut();
await ann.fill("[name=count]", "10");
await ann.click('button:has-text("Have come")');
await shows(ann, 13);
await picture(ann, "admin");
await line.mend();
await shows(guest, 13);

await ben.click("text=Log out");
await ben.waitForSelector("text=Log in");
await close();
line.close();
console.log("done");
