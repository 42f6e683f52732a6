// A client of the shop. Its types come from the API's document:
//   moonloop openapi ../app.lua > shop.json
//   npx openapi-typescript shop.json --default-non-nullable=false -o shop.ts
//   npx tsc --strict --target es2022 --module nodenext client.ts && node client.js http://127.0.0.1:8000
import type { components, paths } from "./shop.js";

export type Item = components["schemas"]["ItemOut"];
export type NewItem = components["schemas"]["Item"];
export type Cart = components["schemas"]["Cart"];
export type Order = components["schemas"]["Order"];

type Methods<M extends string> = { [P in keyof paths]: paths[P] extends { [K in M]: object } ? P : never }[keyof paths];
type Operation<P extends keyof paths, M extends string> = paths[P] extends { [K in M]: infer O } ? O : never;
type Body<O> = O extends { requestBody: { content: { "application/json": infer B } } } ? B : never;
type Json<R> = R extends { content: { "application/json": infer V } } ? V : never;
type Result<O> = O extends { responses: infer R } ? Json<R[Extract<keyof R, 200 | 201 | 202>]> : never;

export class Shop {
  constructor(readonly url: string, private token = "") {}

  async get<P extends Methods<"get">>(
    path: P, query: Record<string, string> = {},
  ): Promise<Result<Operation<P, "get">>> {
    return this.send("GET", `${path}?${new URLSearchParams(query)}`);
  }

  async post<P extends Methods<"post">>(
    path: P, body: Body<Operation<P, "post">>,
  ): Promise<Result<Operation<P, "post">>> {
    return this.send("POST", path, { "Content-Type": "application/json" }, JSON.stringify(body));
  }

  /** Puts so many of an item into the cart. */
  async put(item: Item, count: number): Promise<Cart> {
    const body: components["schemas"]["Count"] = { count };
    return this.send("PUT", `/api/cart/${item.id}`, { "Content-Type": "application/json" }, JSON.stringify(body));
  }

  async login(username: string, password: string): Promise<Shop> {
    const form = new URLSearchParams({ grant_type: "password", username, password });
    const token: components["schemas"]["Token"] = await this.send("POST", "/api/token", {}, form);
    return new Shop(this.url, token.access_token);
  }

  private async send<T>(
    method: string, path: string, headers: Record<string, string> = {}, body?: BodyInit,
  ): Promise<T> {
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const response = await fetch(this.url + path, { method, headers, body });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    return response.json() as Promise<T>;
  }
}

declare const process: { argv: string[] };

async function main(url: string): Promise<void> {
  const shop = await new Shop(url).login("ann", "correct horse"); // of add_admin.lua
  const lamp: Item = await shop.post("/api/items", { name: "lamp", price: 1250, stock: 3 });
  const cart: Cart = await shop.put(lamp, 2);
  const order: Order = await shop.post("/api/orders", { card: "visa", total: cart.total });
  const line = cart.lines[0];
  console.log(`order ${order.id} is ${order.state}: ${order.total} for ${line.count} ${line.name}`);
}

if (process.argv[2]) await main(process.argv[2]);
