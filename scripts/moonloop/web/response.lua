--- Response objects: what a handler returns for full control, and what middleware gets and changes.
--
-- A response is a table with a `status` and one of `body` (a string), `json` (a value to encode),
-- `stream` and `file`. The headers are in `_headers`: as they were given until a script reads `headers`,
-- then a table that finds names in any case. Assigning `json` replaces the body and its type; assigning
-- `body` replaces the body and keeps the type.
--
-- In a chain of middleware, every response is checked between one middleware and the next, and a JSON
-- body is encoded, so that a response that cannot be sent is an error inside the chain. The text is
-- then in `_body` and the value it was made from in `_json`; `_checked` is set until the response is
-- changed. Where a schema made the text, it is in both fields, since the handler's value has what must
-- not leave; no other value is its own text. With a stream, `_own_headers` has the handler's own headers
-- (chain.lua, answer_failed_stream).
local core = require "moonloop.web.core"
local json = require "moonloop.json"
local options = require "moonloop.core.options"

local tasks = require "moonloop.core"

local fail = tasks.fail

local FIELDS = { status = "integer", headers = "table", body = "string", stream = "function" }
local KNOWN = { status = true, headers = true, body = true, json = true, stream = true, file = true }
local BODIES = { "body", "json", "stream", "file" }

--- Methods defined by other parts, each with its module.
local PARTS = {
  set_cookie = "moonloop.web.cookie",
  delete_cookie = "moonloop.web.cookie",
  set_signed_cookie = "moonloop.web.cookie",
}

local methods = setmetatable({}, {
  __names = PARTS, -- for the prompt
  __index = function(self, name)
    local part = PARTS[name]
    if not part then return nil end
    local method = require(part)[name]
    rawset(self, name, method)
    return method
  end,
})

local headers_class = getmetatable(core.headers())

--- The type that the server sends if the headers do not name one, or nil.
local function default_type(res)
  if rawget(res, "json") ~= nil or rawget(res, "_json") ~= nil then return "application/json" end
  return (rawget(res, "body") or rawget(res, "_body")) and "text/plain; charset=utf-8"
end

--- Fields that are made when they are read, since the reader may change them in place.
local made = {}

--- The headers, as a table whose names are found in any case.
function made.headers(res)
  rawset(res, "_checked", nil)
  local headers = rawget(res, "_headers")
  if getmetatable(headers) ~= headers_class then
    headers = core.headers(headers)
    headers["Content-Type"] = headers["Content-Type"] or default_type(res)
    rawset(res, "_headers", headers)
  end
  return headers
end

--- The text of a JSON body, or of a checked body.
function made.body(res)
  local value = rawget(res, "json")
  if value ~= nil then
    rawset(res, "_body", json.encode(value))
    rawset(res, "_json", value)
    rawset(res, "json", nil)
  end
  return rawget(res, "_body")
end

--- The value of a JSON body. The script may change it, so the text is made again.
function made.json(res)
  local value = rawget(res, "_json")
  if value ~= nil then
    if value == rawget(res, "_body") then value = json.decode(value) end
    rawset(res, "_checked", nil)
    rawset(res, "json", value)
    rawset(res, "_json", nil)
    rawset(res, "_body", nil)
  end
  return value
end

local function drop_body(res)
  for _, name in ipairs(BODIES) do rawset(res, name, nil) end
  rawset(res, "_json", nil)
  rawset(res, "_body", nil)
end

--- Further effects of assigning a field that was nil.
local assigned = { stream = drop_body, file = drop_body }

--- A text that replaces the body keeps the old type.
function assigned.body(res)
  made.headers(res) -- this one has the type
  drop_body(res)
end

--- A value that replaces the body is sent as JSON.
function assigned.json(res)
  drop_body(res)
  if rawget(res, "_headers") then made.headers(res)["Content-Type"] = "application/json" end
end

local class = core.response
class.__name = "moonloop.web.response"
class.__methods, class.__names = methods, KNOWN -- for the prompt

function class.__index(res, name)
  local make = made[name]
  if make then return make(res) end
  return methods[name]
end

function class.__newindex(res, name, value)
  local prepare = assigned[name]
  if prepare then prepare(res) end
  rawset(res, "_checked", nil)
  rawset(res, name == "headers" and "_headers" or name, value)
end

local function as_list(value) return type(value) == "table" and value or { value } end

--- res:add_headers(headers): adds lines to those of the same names; a Content-Type replaces the old one.
-- Returns the response.
function methods.add_headers(res, headers)
  if getmetatable(res) ~= class then tasks.bad_self(res, "response", "add_headers") end
  local all = rawget(res, "_headers")
  if getmetatable(all) ~= headers_class then
    all = core.headers(all)
    rawset(res, "_headers", all)
  end
  rawset(res, "_checked", nil)
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
  --- The methods of responses, to which other parts add theirs.
  methods = methods,
}

--- web.response{status =, headers =, body =, json =, stream =, file =}: a response of any kind, for
-- a handler to return. At most one of the last four is given: `body` is sent as it is, `json` is encoded,
-- `stream` is a function that writes the body piece by piece, `file` is a path or a table with one.
function M.new(fields)
  if type(fields) ~= "table" then
    fail("bad argument #1 to 'ml.web.response' (table expected, got " .. type(fields) .. ")")
  end
  local res = { status = 200 }
  for name, value in pairs(fields) do
    local wanted = FIELDS[name]
    if not wanted and name ~= "json" and name ~= "file" then
      fail(options.unknown(name, KNOWN, "ml.web.response", "field"))
    end
    local given = wanted == "integer" and math.type(value) or type(value)
    if wanted and given ~= wanted then
      fail(options.wrong(name, value, wanted, "ml.web.response", "field"))
    end
    res[name == "headers" and "_headers" or name] = value
  end
  local body
  for _, name in ipairs(BODIES) do
    if res[name] ~= nil then
      if body then
        fail("a response cannot have both " .. body .. " and " .. name)
      end
      body = name
    end
  end
  local file = type(res.file)
  if file ~= "nil" and file ~= "string" and file ~= "table" then
    fail("field 'file' of a response is a " .. file .. " (expected a path or a table)")
  end
  return setmetatable(res, class)
end

--- The fields of a response as a plain table, which can be copied to another state; nil for any other
-- value.
function M.flatten(value)
  if getmetatable(value) ~= class then return nil end
  local plain = {}
  for name, field in next, value do plain[name] = field end
  if plain._headers then plain._headers = setmetatable(core.headers(plain._headers), nil) end
  return plain
end

return M
