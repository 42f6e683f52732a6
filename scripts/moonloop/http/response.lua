--- Responses of the HTTP client: with their body, or streamed.
--
--   status    as a number
--   ok        whether it is 200 to 299
--   headers   name -> text; names are found in any case, and are in lower case when iterated over.
--             Repeated headers are joined with ", ", but `set-cookie` is a list of texts
--   body      decoded text; of a streamed response, all of it is read, and an error is raised
--   url       that the response is from, after redirects, without user and password
--   history   the list of the responses that led here by redirects, oldest first
local core = require "moonloop.http.core"
local fields = require "moonloop.http.fields"
local json = require "moonloop.json"

local methods = {}
local Response = { __name = "moonloop.http.response" }

-- --- fields that are made when they are asked for ---

local lazy = {}

--- Is the status one of success, 200 to 299?
function lazy:ok() return self.status >= 200 and self.status < 300 end

-- The plain engine gives both as one text, with a line feed between them: bindings/http_plain_bare.c.
function lazy:url()
  local url = self.preamble:match "^[^\n]*"
  rawset(self, "url", url)
  return url
end

function lazy:head() return self.preamble:sub(#self.url + 2) end

--- The header fields, found in any case; values of one name are joined, Set-Cookie is a list.
function lazy:headers()
  local headers = setmetatable(core.headers(self.head), fields.any_case)
  rawset(self, "headers", headers)
  return headers
end

--- The responses that redirected to this one, the first first: none.
function lazy:history()
  local history = {}
  rawset(self, "history", history)
  return history
end

--- The whole body as a text; of a streamed response, read to its end now. An error is raised.
function lazy:body()
  if self.begun then error("the body of this response has been read already", 3) end
  local chunks = {}
  for chunk in self:chunks() do chunks[#chunks + 1] = chunk end
  local body = table.concat(chunks)
  rawset(self, "body", body)
  return body
end

function Response.__index(self, key)
  local method = methods[key]
  if method then return method end
  local make = lazy[key]
  return make and make(self)
end

-- --- methods ---

--- The body as JSON: its value, or nil and an error of kind "json".
function methods:json() return json.decode(self.body) end

--- read() -> chunk | nil | nil, err: the next piece of the body, not empty; nil at its end. Of a
-- streamed response it suspends until there is one.
function methods:read()
  local reader = rawget(self, "reader")
  if reader and not rawget(self, "body") then
    self.begun = true
    return reader:read()
  end
  if self.begun or self.body == "" then return nil end
  self.begun = true
  return self.body
end

--- for chunk in res:chunks() do: the body in pieces, once. An error is raised. A loop that is left
-- early closes the response.
function methods:chunks()
  if self.begun then error("the body of this response has been read already", 2) end
  local function next_chunk()
    local chunk, err = self:read()
    if err then error(err, 0) end
    return chunk
  end
  return next_chunk, nil, nil, self
end

--- Gives up the rest of a streamed body, with its connection if it was not at its end. Leaving the
-- block of a `local res <close>` does that, too.
function methods:close()
  local reader = rawget(self, "reader")
  if reader then reader:close() end
end

function Response.__close(self) methods.close(self) end

function Response:__tostring()
  local body = rawget(self, "body")
  return ("response %d of %s (%s)"):format(self.status, self.url, body and #body .. " bytes" or "streamed")
end

return Response
