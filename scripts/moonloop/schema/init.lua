--- ml.schema: what values look like. A schema checks Lua tables and JSON texts, writes JSON, and is a
-- JSON Schema.
local core = require "moonloop.core"
local builders = require "moonloop.schema.builders"
local define = require "moonloop.schema.define"
local document = require "moonloop.schema.document"
local from_document = require "moonloop.schema.from_document"
local run = require "moonloop.schema.run"
local schema_core = require "moonloop.schema.core"
require "moonloop.schema.modifiers"

local methods, programs = define.methods, define.programs

local function compiled(schema, method)
  local program = programs[schema]
  if program then return program end
  if not define.of(schema) then core.bad_self(schema, "schema", method) end
  return run.compiled(schema)
end

local function finish(schema, value, errors)
  value, errors = run.finish(schema, value, errors)
  if errors then return run.fail(errors, schema) end
  return value
end

--- A value of its own that fits, with defaults and without unknown fields; or nil and an error of kind
-- "validation".
function methods:parse(value)
  local program = compiled(self, "parse")
  if value == nil then core.fail "schema:parse: a value expected, got nil" end
  return finish(self, schema_core.parse(program.program, value))
end

--- The same of JSON text, checked while it is decoded. opts: `max_values` (any number), as ml.json.decode has it.
function methods:decode(text, opts)
  local program = compiled(self, "decode")
  local value, errors = schema_core.decode(program.program, text, nil, opts)
  if errors or program.checks then return finish(self, value, errors) end
  return value
end

--- The same of text that is no JSON: a string, or a table of strings and lists of them, as queries and
-- forms are.
function methods:read(value)
  local program = compiled(self, "read")
  if value == nil then core.fail "schema:read: a value expected, got nil" end
  return finish(self, schema_core.parse(program.program, value, "text"))
end

--- JSON text of a value: only what the schema has.
function methods:encode(value)
  local program = compiled(self, "encode")
  if value == nil then core.fail "schema:encode: a value expected, got nil" end
  local text, errors = schema_core.encode(program.writer, value)
  if errors then return run.fail(errors, self) end
  return text
end

methods.json_schema = document.json_schema

local M = { from_json_schema = from_document }
for _, name in ipairs {
  "string", "int", "number", "bool", "enum", "const", "list", "map", "tuple", "object", "union", "tagged", "any",
  "ref", "decimal", "datetime", "date", "time", "duration", "uuid", "email", "url", "ip", "bytes", "file",
} do M[name] = builders[name] end

return M
