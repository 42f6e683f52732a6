--- Bodies of requests: the options `body`, `json`, `form` and `multipart`.
local arguments = require "moonloop.http.arguments"
local is_callable = require "moonloop.core".is_callable
local url = require "moonloop.http.url"

local raise = arguments.raise

local M = {}

-- For each option, the function that makes a body from it: text, source, content type, error, as in M.of.
local makers = {}

function makers.body(body)
  if type(body) == "string" then return body end
  if is_callable(body) then return nil, { open = function() return body end, once = true } end
  raise("body: string or function expected, got %s (json= encodes a value)", type(body))
end

function makers.json(value) return require "moonloop.json".encode(value), nil, "application/json" end

function makers.form(form)
  if type(form) ~= "table" then raise("form: table expected, got %s", type(form)) end
  return url.encode("form", form), nil, "application/x-www-form-urlencoded"
end

function makers.multipart(fields)
  if type(fields) ~= "table" then raise("multipart: table expected, got %s", type(fields)) end
  local form, err = require "moonloop.http.multipart".form(fields)
  if not form then return nil, nil, nil, err end
  local source = { open = function() return form:chunks() end, length = form.length, once = not form.repeatable }
  return nil, source, form.content_type
end

local names = { "body", "json", "form", "multipart" }

--- The body of a request with the options `opts`: text or nil, source or nil, content type or nil,
-- and an error if a file cannot be read.
--
-- A source is a body sent in pieces: `open()` returns a function that returns the next piece, nil at
-- the end; `length` is in bytes, nil if not known; `once` says that it cannot be opened again.
function M.of(opts)
  local given
  for _, name in ipairs(names) do
    if opts[name] ~= nil then
      if given then raise("%s and %s cannot be used together", given, name) end
      given = name
    end
  end
  if given then return makers[given](opts[given]) end
end

--- Writes the body from `source` to the engine's upload. Returns true, even if the server stops taking
-- it; or nil, err, and what the server calls the request, for a transport (client.lua).
function M.send(source, upload)
  for chunk in source.open() do
    if type(chunk) ~= "string" then
      error(("body: the function returned a %s (expected a string or nil)"):format(type(chunk)), 0)
    end
    if chunk ~= "" then
      local wanted, err, id = upload:write(chunk)
      if err then return nil, err, id end
      if not wanted then break end
    end
  end
  return true
end

return M
