'use strict';
// Elysia on Bun, for the order that is checked by a schema.
const { Elysia, t } = require('elysia');

const text = (minLength, maxLength) => t.String({ minLength, maxLength });
const number = () => t.Number({ minimum: 0 });
const maybe = schema => t.Optional(t.Union([schema, t.Null()]));
const oneOf = (...values) => t.Union(values.map(value => t.Literal(value)));

const address = t.Object({ street: text(1, 100), city: text(1, 60), zip: text(1, 12), country: text(2, 2) });

const customer = t.Object({
  name: text(1, 80),
  email: text(3, 120),
  phone: maybe(t.String()),
  vip: t.Optional(t.Boolean({ default: false })),
  address,
});

const item = t.Object({
  sku: text(1, 20),
  name: text(1, 100),
  qty: t.Integer({ minimum: 1, maximum: 1000 }),
  price: t.Number({ exclusiveMinimum: 0 }),
  taxable: t.Optional(t.Boolean({ default: true })),
});

const order = t.Object({
  id: t.Integer({ minimum: 1 }),
  number: text(1, 40),
  status: oneOf('new', 'paid', 'shipped', 'cancelled'),
  channel: oneOf('web', 'phone', 'shop'),
  created_at: text(0, 40),
  updated_at: text(0, 40),
  total: number(),
  tax: number(),
  discount: t.Optional(t.Number({ minimum: 0, default: 0 })),
  weight: number(),
  priority: t.Integer({ minimum: 0, maximum: 10 }),
  paid: t.Boolean(),
  gift: t.Optional(t.Boolean({ default: false })),
  notes: maybe(t.String()),
  coupon: maybe(text(0, 20)),
  locale: text(2, 10),
  customer,
  shipping: address,
  tags: t.Array(text(0, 30), { maxItems: 20 }),
  items: t.Array(item, { minItems: 1, maxItems: 100 }),
});

new Elysia()
  .post('/order', ({ body }) => ({ id: body.id, n: body.items.length }), {
    body: order,
    response: t.Object({ id: t.Integer(), n: t.Integer() }),
  })
  .listen({ port: +process.env.PORT, hostname: '127.0.0.1', idleTimeout: 255 });
