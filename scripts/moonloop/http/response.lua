--- Responses of the HTTP client: with their body, or streamed.
--
--   status    as a number
--   ok        whether it is 200 to 299
--   headers   name -> text; names are found in any case, and are in lower case when iterated over.
--             Repeated headers are joined with ", ", but `set-cookie` is a list of texts
--   body      decoded text; for a streamed response, reads all of it, and raises on errors
--   url       where the response came from, after redirects, without user and password
--   history   the list of the responses that led here by redirects, oldest first
local bad_self = require "moonloop.core".bad_self
local fail = require "moonloop.core".fail
local core = require "moonloop.http.core"
local fields = require "moonloop.http.fields"
local json = require "moonloop.json"

local methods = {}
local Response = { __name = "moonloop.http.response", __methods = methods }

-- --- fields made on first use ---

local lazy = {}

--- Does the status mean success, 200 to 299?
function lazy:ok() return self.status >= 200 and self.status < 300 end

-- moonloop.http.core gives both as one text, with a line feed between them: bindings/http/client_bare.c.
function lazy:url()
  local url = self.preamble:match "^[^\n]*"
  rawset(self, "url", url)
  return url
end

function lazy:head() return self.preamble:sub(#self.url + 2) end

--- The header fields, found in any case. Values of one name are joined, but Set-Cookie is a list.
function lazy:headers()
  local headers = setmetatable(core.headers(self.head), fields.any_case)
  rawset(self, "headers", headers)
  return headers
end

--- The responses that redirected to this one, oldest first: none by default.
function lazy:history()
  local history = {}
  rawset(self, "history", history)
  return history
end

--- The whole body as text. A streamed response is read to its end now. Errors are raised.
function lazy:body()
  if self.begun then fail("the body of this response has been read already") end
  local chunks = {}
  for chunk in self:chunks() do chunks[#chunks + 1] = chunk end
  local body = table.concat(chunks)
  rawset(self, "body", body)
  return body
end

Response.__names = lazy -- for the prompt

function Response.__index(self, key)
  local method = methods[key]
  if method then return method end
  local make = lazy[key]
  return make and make(self)
end

-- --- methods ---

local function check(response, method)
  if getmetatable(response) ~= Response then bad_self(response, "response", method) end
end

-- Values that the JSON of a body may have, where neither the request nor its client says.
local MAX_VALUES = 1000000

--- The body as JSON: its value, or nil and an error of kind "json".
function methods:json()
  check(self, "json")
  local body, most = self.body, rawget(self, "max_values") or MAX_VALUES
  if #body < most then return json.decode(body) end -- it cannot have as many
  return json.decode(body, { max_values = most })
end

--- read() -> chunk | nil | nil, err: the next piece of the body, never empty; nil at its end. For a
-- streamed response it suspends until a piece arrives.
function methods:read()
  check(self, "read")
  local reader = rawget(self, "reader")
  if reader and not rawget(self, "body") then
    self.begun = true
    return reader:read()
  end
  if self.begun or self.body == "" then return nil end
  self.begun = true
  return self.body
end

--- for chunk in res:chunks() do: the body in pieces, once. Errors are raised. Leaving the loop early
-- closes the response.
function methods:chunks()
  check(self, "chunks")
  if self.begun then fail("the body of this response has been read already") end
  local function next_chunk()
    local chunk, err = self:read()
    if err then error(err, 0) end
    return chunk
  end
  return next_chunk, nil, nil, self
end

--- Drops the rest of a streamed body, and its connection if the body had not ended. Leaving the block
-- of a `local res <close>` does the same.
function methods:close()
  check(self, "close")
  local reader = rawget(self, "reader")
  if reader then reader:close() end
end

function Response.__close(self) methods.close(self) end

function Response:__tostring()
  local body = rawget(self, "body")
  return ("response %d of %s (%s)"):format(self.status, self.url, body and #body .. " bytes" or "streamed")
end

return Response
