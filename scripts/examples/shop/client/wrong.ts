// What the compiler refuses: each line below has a mistake.
import { Shop } from "./client.js";

const shop = new Shop("http://127.0.0.1:8000");
await shop.post("/api/items", { name: "lamp", price: "1250" }); // a text for a number
await shop.post("/api/items", { price: 1250 }); // no name
await shop.post("/api/item", { name: "lamp", price: 1250 }); // no such path
(await shop.get("/api/items"))[0].colour; // no such field
(await shop.get("/api/items"))[0].note.length; // may be null
