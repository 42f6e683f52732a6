--- Response objects: what a handler returns for full control, and what middleware gets and changes.
--
-- A response is a table: `status`, `body` (a string) or `json` (a value to encode), `stream` or
-- `file`, and `headers`. The headers as they were given wait under `_headers`; the table that
-- scripts see, which finds names in any case, is made when it is first asked for. Assigning `json`
-- replaces the body and its type; assigning `body` replaces the body and keeps the type.
--
-- Inside a chain of middleware a JSON body is encoded at once, so that a value that cannot be is an
-- error inside the chain: the value and its text are then under `_json` and `_body`.
local core = require "moonloop.web.core"
local json = require "moonloop.json"

local FIELDS = { status = "integer", headers = "table", body = "string", stream = "function" }
local BODIES = { "body", "json", "stream", "file" }

--- Methods of other parts, by the module that has a function of that name.
local PARTS = {
  set_cookie = "moonloop.web.cookie",
  delete_cookie = "moonloop.web.cookie",
  set_signed_cookie = "moonloop.web.cookie",
}

local methods = setmetatable({}, {
  __index = function(self, name)
    local part = PARTS[name]
    if not part then return nil end
    local method = require(part)[name]
    rawset(self, name, method)
    return method
  end,
})

--- The type that the server sends when the headers name none, or nil.
local function default_type(res)
  if rawget(res, "json") ~= nil or rawget(res, "_json") ~= nil then return "application/json" end
  return rawget(res, "body") and "text/plain; charset=utf-8"
end

--- Fields that are made when they are first read.
local made = {}

function made.headers(res)
  local headers = core.headers(rawget(res, "_headers"))
  headers["Content-Type"] = headers["Content-Type"] or default_type(res)
  rawset(res, "headers", headers)
  rawset(res, "_headers", nil)
  return headers
end

--- The text of a JSON body.
function made.body(res)
  local value = rawget(res, "json")
  if value ~= nil then
    rawset(res, "_body", json.encode(value))
    rawset(res, "_json", value)
    rawset(res, "json", nil)
  end
  return rawget(res, "_body")
end

--- The value of a JSON body. It may be changed in place, so the text is made anew.
function made.json(res)
  local value = rawget(res, "_json")
  rawset(res, "json", value)
  rawset(res, "_json", nil)
  rawset(res, "_body", nil)
  return value
end

local function drop_body(res)
  for _, name in ipairs(BODIES) do rawset(res, name, nil) end
  rawset(res, "_json", nil)
  rawset(res, "_body", nil)
end

--- Fields whose assignment means more than a new value, when they had none.
local assigned = {}

function assigned.headers(res, headers)
  rawset(res, "_headers", headers)
  rawset(res, "headers", nil)
end

function assigned.body(res)
  local _ = res.headers -- has the type
  drop_body(res)
end

function assigned.json(res)
  drop_body(res)
  if rawget(res, "headers") then res.headers["Content-Type"] = "application/json" end
end

assigned.stream = drop_body
assigned.file = drop_body

local class = core.response
class.__name = "moonloop.web.response"

function class.__index(res, name)
  local make = made[name]
  if make then return make(res) end
  return methods[name]
end

function class.__newindex(res, name, value)
  local prepare = assigned[name]
  if prepare then prepare(res, value) end
  if name ~= "headers" then rawset(res, name, value) end
end

local function as_list(value) return type(value) == "table" and value or { value } end

--- res:add_headers(headers): further lines, beside those of the same names; a Content-Type replaces
-- the other one. Returns the response.
function methods.add_headers(res, headers)
  local all = rawget(res, "headers")
  if not all then
    all = core.headers(rawget(res, "_headers"))
    rawset(res, "_headers", all)
  end
  for name, value in pairs(headers) do
    if all[name] ~= nil and name:lower() ~= "content-type" then
      local lines = as_list(all[name])
      value = table.move(as_list(value), 1, #as_list(value), #lines + 1, lines)
    end
    all[name] = value
  end
  return res
end

local M = {
  --- Methods of responses, for the parts that have some to add.
  methods = methods,
}

--- web.response{status =, headers =, body =, json =, stream =, file =}: a response of any kind, for
-- a handler to return. At most one of the last four: `body` is sent as it is, `json` is encoded,
-- `stream` is a function that writes the body piece by piece, `file` is a path or a table with one.
function M.new(fields)
  if type(fields) ~= "table" then
    error("bad argument #1 to 'response' (table expected, got " .. type(fields) .. ")", 2)
  end
  local res = { status = 200 }
  for name, value in pairs(fields) do
    local wanted = FIELDS[name]
    if not wanted and name ~= "json" and name ~= "file" then
      error("unknown field '" .. tostring(name) .. "' of a response", 2)
    end
    local given = wanted == "integer" and math.type(value) or type(value)
    if wanted and given ~= wanted then
      error("field '" .. name .. "' of a response is a " .. type(value) .. " (expected " ..
        wanted .. ")", 2)
    end
    res[name == "headers" and "_headers" or name] = value
  end
  local body
  for _, name in ipairs(BODIES) do
    if res[name] ~= nil then
      if body then
        error("a response has either " .. body .. " or " .. name, 2)
      end
      body = name
    end
  end
  local file = type(res.file)
  if file ~= "nil" and file ~= "string" and file ~= "table" then
    error("field 'file' of a response is a " .. file .. " (expected a path or a table)", 2)
  end
  return setmetatable(res, class)
end

--- The fields of a response as a plain table, which can cross to another state; nil for another
-- value.
function M.flatten(value)
  if getmetatable(value) ~= class then return nil end
  local plain = {}
  for name, field in next, value do plain[name] = field end
  if plain.headers then
    plain._headers, plain.headers = {}, nil
    for name, line in next, value.headers do plain._headers[name] = line end
  end
  return plain
end

return M
