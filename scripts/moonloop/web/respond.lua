--- Answers by schema: they have only what the schema of their status has, and what does not fit is an error
-- of the server.
local core = require "moonloop.web.core"
local definition = require "moonloop.web.definition"
local response = require "moonloop.web.core".response
local run = require "moonloop.schema.run"
local schema_core = require "moonloop.schema.core"
local tasks = require "moonloop.core"

local M = {}

--- The answer of an encoder for programs by status.
local function encoder(programs, name)
  local function failed(status, errors)
    error(tasks.error {
      kind = "response",
      message = ("the response of %s with status %d does not fit its schema: %s"):format(name, status,
        run.describe(errors)),
    }, 0)
  end

  --- For a response object: the JSON value in it.
  local function of_object(res, status, headers)
    local code = status or rawget(res, "status")
    local program = programs[code]
    local value = rawget(res, "json")
    if value == nil then value = rawget(res, "_json") end
    if not program or value == nil or value == rawget(res, "_body") then return res, status, headers end
    local text, errors = schema_core.encode(program, value)
    if errors then failed(code, errors) end
    local copy = {}
    for key, field in next, res do copy[key] = field end
    copy.json, copy._checked = nil, nil
    copy._body, copy._json = text, text
    return setmetatable(copy, response), status, headers
  end

  return core.encoder(programs, of_object, failed)
end

--- encoder({[status] = schema}, name) -> answer(value, status, headers) -> what a handler returns.
function M.encoder(schemas, name)
  local programs = {}
  for status, schema in pairs(schemas) do programs[status] = run.compiled(schema).writer end
  return encoder(programs, name)
end

--- The schemas as another state can have them.
function M.definitions(schemas)
  local list = {}
  for status, schema in pairs(schemas) do list[status] = definition.of(schema, true) end
  return list
end

--- The encoder of such definitions.
function M.encoder_of(definitions, name)
  local programs = {}
  for status, one in pairs(definitions) do programs[status] = definition.program(one) end
  return encoder(programs, name)
end

return M
