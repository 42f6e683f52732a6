'use strict';
// What an order is, as JSON Schema: for Fastify.

const text = (minLength, maxLength) => ({ type: 'string', minLength, maxLength });
const number = { type: 'number', minimum: 0 };
const flag = value => ({ type: 'boolean', default: value });
const maybe = schema => ({ ...schema, type: [schema.type, 'null'] });

const address = {
  type: 'object',
  required: ['street', 'city', 'zip', 'country'],
  properties: { street: text(1, 100), city: text(1, 60), zip: text(1, 12), country: text(2, 2) },
};

const customer = {
  type: 'object',
  required: ['name', 'email', 'address'],
  properties: {
    name: text(1, 80), email: text(3, 120), phone: maybe({ type: 'string' }), vip: flag(false), address,
  },
};

const item = {
  type: 'object',
  required: ['sku', 'name', 'qty', 'price'],
  properties: {
    sku: text(1, 20),
    name: text(1, 100),
    qty: { type: 'integer', minimum: 1, maximum: 1000 },
    price: { type: 'number', exclusiveMinimum: 0 },
    taxable: flag(true),
  },
};

exports.order = {
  type: 'object',
  required: ['id', 'number', 'status', 'channel', 'created_at', 'updated_at', 'total', 'tax', 'weight', 'priority',
    'paid', 'locale', 'customer', 'shipping', 'tags', 'items'],
  properties: {
    id: { type: 'integer', minimum: 1 },
    number: text(1, 40),
    status: { enum: ['new', 'paid', 'shipped', 'cancelled'] },
    channel: { enum: ['web', 'phone', 'shop'] },
    created_at: text(0, 40),
    updated_at: text(0, 40),
    total: number,
    tax: number,
    discount: { ...number, default: 0 },
    weight: number,
    priority: { type: 'integer', minimum: 0, maximum: 10 },
    paid: { type: 'boolean' },
    gift: flag(false),
    notes: maybe({ type: 'string' }),
    coupon: maybe(text(0, 20)),
    locale: text(2, 10),
    customer,
    shipping: address,
    tags: { type: 'array', items: text(0, 30), maxItems: 20 },
    items: { type: 'array', items: item, minItems: 1, maxItems: 100 },
  },
};

exports.receipt = { type: 'object', properties: { id: { type: 'integer' }, n: { type: 'integer' } } };
