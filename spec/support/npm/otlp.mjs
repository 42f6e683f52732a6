// otlp.mjs FILE...: checks OTLP's JSON requests of traces against the protocol. What messages there are is read from the
// decoders that protobuf.js has generated from the protocol's .proto files, which OpenTelemetry's package carries.
// Refuses unknown keys and wrong types, ids that are not hexadecimal, 64-bit integers that are no strings, and names of
// enums. Prints a line for each fault.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const root = createRequire(import.meta.url).resolve("@opentelemetry/otlp-transformer");
const text = readFileSync(root.replace(/index\.js$/, "generated/root.js"), "utf8");

// "Span" -> { field: { type, list } }, type: "bytes", "fixed64", ... or the name of a message
const messages = {};
for (const [, name, body] of text.matchAll(/(\w+)\.decode = function decode\((.*?)\n\s+\w+\.decodeDelimited/gs)) {
  const fields = (messages[name] ??= {});
  for (const [, one, list, type] of body.matchAll(
    /message\.(?:(\w+) = |(\w+)\.push\()(?:reader\.(?=\w+\(\))|\$root\.opentelemetry\.proto\.[\w.]*?(?=\w+\.decode\())(\w+)/g,
  )) fields[one ?? list] = { type, list: !one };
}

const faults = [];
const bytes = { traceId: 16, spanId: 8, parentSpanId: 8 };

const checks = {
  bytes: (v, key) => typeof v === "string" && /^([0-9a-f]{2})*$/.test(v) && v.length === 2 * bytes[key],
  string: (v) => typeof v === "string",
  bool: (v) => typeof v === "boolean",
  double: (v) => typeof v === "number" || ["NaN", "Infinity", "-Infinity"].includes(v),
};

function check(value, type, at, key) {
  if (messages[type]) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return faults.push(`${at}: not an object`);
    for (const name in value) {
      const field = messages[type][name];
      if (!field) faults.push(`${at}.${name}: unknown to ${type}`);
      else if (!field.list) check(value[name], field.type, `${at}.${name}`, name);
      else if (!Array.isArray(value[name])) faults.push(`${at}.${name}: not a list`);
      else value[name].forEach((item, i) => check(item, field.type, `${at}.${name}[${i}]`, name));
    }
    return;
  }
  const is64 = (v) => typeof v === "string" && /^-?\d+$/.test(v);
  const is32 = (v) => Number.isInteger(v);
  const ok = checks[type] ?? (type.endsWith("64") ? is64 : is32);
  if (!ok(value, key)) faults.push(`${at}: ${JSON.stringify(value)} is no ${type}`);
}

for (const name of ["ExportTraceServiceRequest", "Span", "KeyValue", "AnyValue"]) {
  if (!Object.keys(messages[name] ?? {}).length) faults.push(`${name}: the protocol was not understood`);
}
for (const file of process.argv.slice(2)) {
  check(JSON.parse(readFileSync(file, "utf8")), "ExportTraceServiceRequest", file);
}
faults.forEach((fault) => console.log(fault));
console.log(faults.length ? "refused" : "done");
