--- What is wrong with a value by a schema, for the methods of schemas and for typed routes.
local core = require "moonloop.core"
local check = require "moonloop.schema.check"
local compile = require "moonloop.schema.compile"
local define = require "moonloop.schema.define"
local schema_core = require "moonloop.schema.core"

local programs = define.programs

local M = {}

--- What the schema compiles to, made on first use: see compile.lua.
function M.compiled(schema)
  local program = programs[schema]
  if not program then
    program = compile(schema)
    programs[schema] = program
  end
  return program
end

local function fits(schema, value)
  local errors = select(2, schema_core.parse(M.compiled(schema).program, value))
  return errors == nil
end

--- finish(schema, value, errors) -> value | nil, errors: after the :check functions, which run if there
-- are no errors. They may wait.
function M.finish(schema, value, errors)
  if not errors and M.compiled(schema).checks then errors = check(schema, value, fits) end
  if errors then return nil, errors end
  return value
end

--- "3 validation errors for Item; the first: price: Input should be greater than 0"
function M.describe(errors, name)
  local first = errors[1]
  local loc = table.concat(first.loc, ".")
  return #errors .. (#errors == 1 and " validation error" or " validation errors") .. (name and " for " .. name or "")
    .. (#errors == 1 and ": " or "; the first: ") .. (loc ~= "" and loc .. ": " or "") .. first.msg
end

--- nil and the error object of the errors.
function M.fail(errors, schema)
  return nil, core.error { kind = "validation", message = M.describe(errors, schema.def.name), errors = errors }
end

return M
