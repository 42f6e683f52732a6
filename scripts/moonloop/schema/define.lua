--- Schemas as objects: what they are made of, and that they do not change. A schema is a table with its
-- definition, which the other files of this folder read by `define.of`.
local core = require "moonloop.core"

local M = {}

local Schema = require "moonloop.schema.class"
local programs = setmetatable({}, { __mode = "k" })

Schema.__name = "schema"

function Schema.__newindex() core.fail "a schema does not change; its methods return new ones" end

function Schema:__tostring()
  local def = self.def
  return def.name and ("schema: %s"):format(def.name) or ("schema: %s"):format(def.type)
end

M.methods = Schema.methods
M.programs = programs
M.named = {} -- name -> set of the components that have it, weakly: what refs may mean

--- A schema of the definition, a table that is not used elsewhere:
--   type                    "string", "list" and so on
--   opts                    options, as given
--   name, place             of a component, and where it was made
--   fields, extra           of an object: list of {name, schema}; "ignore", "forbid" or a schema
--   item                    of a list or a map, a schema
--   items                   of a tuple or a union, a list of them
--   tag, branches           of a tagged union: its key, and a list of {tag, schema}
--   literals                of enum and const
--   target                  of a ref: a name, or a function that gives the schema
--   document                of from_json_schema
--   optional, nullable, has_default, default, checks, unix
--   base                    of a component: the schema that refs to its name mean
function M.new(def)
  local schema = setmetatable({ def = def }, Schema)
  if def.name then
    def.place, def.base = core.place() or "?", schema
    M.named[def.name] = M.named[def.name] or setmetatable({}, { __mode = "k" })
    M.named[def.name][schema] = true
  end
  return schema
end

--- The definition of a schema; nil for other values.
function M.of(value)
  if type(value) == "table" and getmetatable(value) == Schema then return value.def end
end

--- A new schema that differs from `schema` in `changes`.
function M.with(schema, changes)
  local def = {}
  for key, value in pairs(schema.def) do def[key] = value end
  for key, value in pairs(changes) do def[key] = value end
  local new = setmetatable({ def = def }, Schema)
  if def.name and (changes.checks or changes.opts) then def.base = new end
  return new
end

--- Raises unless `value` is a schema.
function M.check(value, whose, what)
  if M.of(value) then return value end
  local hint = type(value) == "function" and ": call the function, as in s.string()" or ""
  core.fail(("%s: %s is a %s (expected a schema%s)"):format(whose, what, type(value), hint))
end

return M
