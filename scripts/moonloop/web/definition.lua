--- Schemas for the workers of offloaded routes: what they compile to crosses, and is compiled there once.
local new_id = require "moonloop.web.core".new_id
local run = require "moonloop.schema.run"
local schema_core = require "moonloop.schema.core"

local M = {}

local definitions = setmetatable({}, { __mode = "k" }) -- by the descriptions that they have
local known = {} -- the programs of definitions that came here, by their ids

--- A definition of the schema, for decoding, or with `is_output` for encoding: {id =, nodes =}. Its :check
-- functions stay here.
function M.of(schema, is_output)
  local compiled = run.compiled(schema)
  local nodes = is_output and compiled.writer_nodes or compiled.nodes
  local definition = definitions[nodes]
  if not definition then
    definition = { id = new_id(), nodes = nodes }
    definitions[nodes] = definition
  end
  return definition
end

--- The program of a definition.
function M.program(definition)
  local program = known[definition.id]
  if not program then
    program = schema_core.compile(definition.nodes)
    known[definition.id] = program
  end
  return program
end

return M
