// requests.mjs URL COUNT SEED: sends COUNT requests made from the document at URL/openapi.json, with values of
// json-schema-faker and mutated ones. Prints a line for each whose status is not what Ajv says of its values:
// 200 if all fit, else 422.
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import jsf from "json-schema-faker";

const [url, count, seed] = process.argv.slice(2);
const document = await (await fetch(`${url}/openapi.json`)).json();
const ajv = new Ajv.default({ strict: false, logger: false });
addFormats.default(ajv);
ajv.addSchema({ $id: "document", ...document });

let state = Number(seed) || 1;
const random = (n) => {
  state = (state * 1103515245 + 12345) % 2147483648;
  return Math.floor((state / 2147483648) * n);
};
const pick = (list) => list[random(list.length)];
jsf.option({ random: () => random(1e6) / 1e6, optionalsProbability: 0.5, maxItems: 4, maxLength: 30, minLength: 1,
  failOnInvalidTypes: false, failOnInvalidFormat: false, alwaysFakeOptionals: false });

// A schema of the document by itself, for both: its references lead into the whole document.
const resolved = (schema, depth = 0) => {
  if (Array.isArray(schema)) return schema.map((one) => resolved(one, depth));
  if (!schema || typeof schema !== "object") return schema;
  if (schema.$ref) {
    const target = schema.$ref.split("/").slice(1).reduce((at, key) => at[key], document);
    return depth > 6 ? {} : resolved(target, depth + 1);
  }
  return Object.fromEntries(Object.entries(schema).map(([key, one]) => [key, resolved(one, depth)]));
};
const validators = new Map();
const fits = (schema, value) => {
  if (!validators.has(schema)) validators.set(schema, ajv.compile(resolved(schema)));
  return validators.get(schema)(value);
};
const fake = (schema) => {
  try {
    return JSON.parse(JSON.stringify(jsf.generate(resolved(schema)) ?? null));
  } catch {
    return null;
  }
};

const ODD = [null, true, -1, 0, 2.5, 1e9, "", "text", "2020-01-02", [], {}, [1, 2], { other: 1 }, "é", "a\u0000b"];
const mutated = (value) => {
  if (value && typeof value === "object" && random(3)) {
    const keys = Object.keys(value), copy = Array.isArray(value) ? [...value] : { ...value };
    if (keys.length && random(4) === 0 && !Array.isArray(copy)) delete copy[pick(keys)];
    else if (keys.length) copy[pick(keys)] = random(2) ? pick(ODD) : mutated(copy[pick(keys)]);
    return copy;
  }
  return pick(ODD);
};

// Texts of a parameter are read as what its schema has.
const ODD_TEXTS = ["x", "-1", "2.5", "true", "new", "2020-02-30", "1e400", "nan", "0x10", "99999999999999999999"];
const readings = (schema, text) => {
  const type = schema.type;
  if (type === "integer") return /^[+-]?\d+(\.0*)?$/.test(text) ? Number(text) : text;
  if (type === "number") return text.trim() !== "" && Number.isFinite(Number(text)) && !/^0[xob]/i.test(text) ? Number(text) : text;
  if (type === "boolean") {
    if (/^(true|t|yes|y|on|1)$/i.test(text)) return true;
    if (/^(false|f|no|n|off|0)$/i.test(text)) return false;
  }
  return text;
};
const isTooLarge = (schema, text) => schema.type === "integer" && Math.abs(Number(text)) > 2 ** 53;

const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })));
let accepted = 0, refused = 0;

for (let i = 0; i < Number(count); i++) {
  const { path, method, operation } = pick(operations);
  let valid = true, target = path;
  const query = new URLSearchParams(), headers = {}, cookies = [];
  for (const parameter of operation.parameters ?? []) {
    const { name, schema } = parameter;
    if (parameter.in === "path") {
      target = target.replace(`{${name}}`, schema.type === "integer" ? random(1000) : "word");
      continue;
    }
    if (!parameter.required && random(2)) continue;
    if (parameter.required && random(20) === 0) {
      valid = false;
      continue;
    }
    const isList = schema.type === "array";
    const one = isList ? schema.items : schema;
    const texts = [];
    for (let n = isList ? 1 + random(2) : 1; n > 0; n--) {
      let text = random(6) ? String(fake(one)) : pick(ODD_TEXTS);
      if (!/^[\x21-\x7e]+$/.test(text) || /[",;\\]/.test(text) || isTooLarge(one, text)) text = "7";
      texts.push(text);
    }
    const value = isList ? texts.map((text) => readings(one, text)) : readings(one, texts[0]);
    if (!fits(schema, value)) valid = false;
    if (parameter.in === "query") texts.forEach((text) => query.append(name, text));
    else if (parameter.in === "header") headers[name] = texts.join(", ");
    else cookies.push(`${name}=${texts[0]}`);
  }
  if (cookies.length) headers.cookie = cookies.join("; ");
  let body;
  const content = operation.requestBody?.content;
  if (content?.["application/json"]) {
    const { schema } = content["application/json"];
    let value = fake(schema);
    if (random(2)) value = mutated(value);
    if (!fits(schema, value)) valid = false;
    body = JSON.stringify(value);
    headers["content-type"] = "application/json";
  } else if (content) {
    const { schema } = content["application/x-www-form-urlencoded"];
    const form = new URLSearchParams();
    for (const [name, own] of Object.entries(schema.properties)) {
      const isRequired = schema.required?.includes(name);
      if (random(isRequired ? 10 : 2) === 0) {
        if (isRequired) valid = false;
        continue;
      }
      const one = own.type === "array" ? own.items : own;
      let text = random(6) ? String(fake(one)) : pick(ODD_TEXTS);
      if (!/^[\x21-\x7e]+$/.test(text) || isTooLarge(one, text)) text = "7";
      const value = own.type === "array" ? [readings(one, text)] : readings(one, text);
      if (!fits(own, value)) valid = false;
      form.append(name, text);
    }
    body = form;
  }
  const response = await fetch(`${url}${target}?${query}`, { method: method.toUpperCase(), headers, body });
  const text = await response.text();
  if (valid) accepted++; else refused++;
  if (response.status !== (valid ? 200 : 422)) {
    console.log(`${response.status} for ${method} ${target}?${query} ${JSON.stringify(headers)} ${body}: ${text}: ` +
      JSON.stringify(operation).slice(0, 1500));
  }
}
console.log(`done: ${accepted} ${refused}`);
