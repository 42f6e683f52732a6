--- Middleware that compresses responses (RFC 9110 section 8.4).
local coding = require "moonloop.web.coding"
local core = require "moonloop.core"
local response = require "moonloop.web.response"
local vary = require "moonloop.web.vary"
local web_core = require "moonloop.web.core"

--- Types that are worth it, besides text/*, *+json and *+xml.
local TYPES = {
  "application/json", "application/javascript", "application/xml", "application/x-ndjson",
  "application/wasm", "application/rtf", "image/bmp", "image/vnd.microsoft.icon", "font/ttf", "font/otf",
}

--- A client of an event stream stays for long, and its encoder takes more memory than all the rest of
-- the connection: only where it is asked for.
local EVENTS = "text/event-stream"

--- Bytes of a long text of a stream that are compressed at once: what comes out waits for the client.
local PIECE = 64 * 1024

--- A compressed body that is more than that part of the plain one is not worth its decoding.
local GAIN = 0.9

local OPTIONS = { min = "integer", level = "integer", types = "table" }

local M = {}

--- A function that says of a Content-Type whether it is to be compressed.
local function matcher(types)
  local exact, families = {}, {}
  for _, name in ipairs(types or TYPES) do
    local family = name:match("^([^*]*)%*$")
    if family then families[#families + 1] = family:lower() else exact[name:lower()] = true end
  end
  local function is_listed(name)
    if exact[name] then return true end
    for _, family in ipairs(families) do
      if name:sub(1, #family) == family then return true end
    end
    return not types and name ~= EVENTS and (name:find("^text/") or name:find("%+json$") or name:find("%+xml$")) ~= nil
  end
  return function(content_type)
    return is_listed(content_type:match("^%s*([^;%s]*)"):lower())
  end
end

--- A header's value as one text: its lines are a list.
local function joined(value) return type(value) == "table" and table.concat(value, ", ") or value end

--- Other bytes have another strong entity tag: the compressed response has a weak one.
local function weaken(headers)
  local etag = headers["ETag"]
  if etag and etag:sub(1, 2) ~= "W/" then headers["ETag"] = "W/" .. etag end
end

--- `out` of a stream function whose response is compressed.
local Out = {}
Out.__index = Out

--- Sends all that is there, compressed. Not for several tasks at once.
function Out:drain()
  while true do
    if self.pending ~= "" then
      self.out:write(self.pending)
      self.pending = ""
    end
    local text, at = self.text, self.at
    if at > #text then break end
    self.at = at + PIECE
    self.pending = self.encoder:write(text, at, PIECE)
  end
  self.text, self.at = "", 1
end

--- As out:write of the connection. What was written is with the client when it returns, as far as
-- that has read: each write is flushed.
function Out:write(...)
  local text = select("#", ...) == 1 and type(...) == "string" and ... or table.concat({ ... })
  if text == "" then return self end
  local _ <close> = self.turn:hold() -- writes of several tasks keep their order
  -- What a cancelled write could not send any more comes first.
  self.text, self.at = self.text:sub(self.at) .. text, 1
  self:drain()
  return self
end

--- The stream function for what `stream` writes, compressed.
local function compressed(stream, name, level)
  return function(out)
    local encoder <close> = coding.encoder(name, level)
    -- Of `text`, the bytes from `at` on are not compressed yet, and `pending` is not sent.
    local writer = setmetatable({ out = out, encoder = encoder, turn = core.lock(), text = "", at = 1, pending = "" },
      Out)
    stream(writer)
    local _ <close> = writer.turn:hold()
    writer:drain()
    out:write(encoder:finish())
  end
end

local function check_options(opts)
  for name, value in pairs(opts) do
    local wanted = OPTIONS[name]
    if not wanted then error("unknown option '" .. tostring(name) .. "' of compress", 3) end
    local given = wanted == "integer" and math.type(value) or type(value)
    if given ~= wanted then
      error("option '" .. name .. "' of compress is a " .. type(value) .. " (expected " .. wanted .. ")", 3)
    end
  end
  if opts.min and opts.min < 0 then error("option 'min' of compress is negative", 3) end
  if opts.level and (opts.level < 1 or opts.level > 9) then
    error("option 'level' of compress is not 1 to 9", 3)
  end
  for _, name in ipairs(opts.types or {}) do
    if type(name) ~= "string" then
      error("option 'types' of compress has a " .. type(name) .. " (expected strings)", 3)
    end
  end
end

--- web.compress([{min =, level =, types =}]) -> middleware that sends bodies with brotli or gzip to
-- clients that accept it, where that makes them smaller. `min` (1024) is the least size in bytes,
-- `level` is 1 (fast) to 9 (small), by default 4; `types` is a list of media types ("text/*" for a
-- family), by default those of texts but text/event-stream. Streams are compressed piece by piece,
-- each write flushed; as long as one lasts, its encoder takes 0.3 MB (gzip) or 0.7 MB (brotli,
-- at its own default level 3).
-- Left alone: partial content, what has a Content-Encoding, and what says Cache-Control:
-- no-transform. Long bodies are compressed on another thread while the task waits.
function M.compress(opts)
  opts = opts or {}
  check_options(opts)
  local min, level, is_compressible = opts.min or 1024, opts.level, matcher(opts.types)

  --- May this response be sent in another coding?
  local function is_eligible(res, headers)
    local status = res.status
    if status == 204 or status == 205 or status == 206 or headers["Content-Encoding"] then return false end
    local content_type = headers["Content-Type"] or res.stream and "text/plain"
    if not content_type or not is_compressible(content_type) then return false end
    local cache = joined(headers["Cache-Control"])
    return not (cache and cache:lower():find("no-transform", 1, true))
  end

  --- The response's body in another coding, as fields of a response; nil when it gains nothing.
  local function encoded(res, headers, name)
    if res.stream then
      if (tonumber(headers["Content-Length"]) or min) < min then return nil end
      return { stream = compressed(res.stream, name, level) }
    end
    local body = res.body
    if not body or #body < min then return nil end
    local smaller = coding.compress(body, name, level)
    return #smaller <= #body * GAIN and { body = smaller } or nil
  end

  return function(req, next)
    local res = next(req)
    local headers = res.headers
    if res.status == 304 then
      vary(headers, "Accept-Encoding") -- and has the tag of the response that the client has kept:
      if (req.headers["if-none-match"] or ""):find("W/", 1, true) then weaken(headers) end
      return res
    end
    if not is_eligible(res, headers) then return res end
    vary(headers, "Accept-Encoding")
    local name = coding.choose(req.headers["accept-encoding"])
    local fields = name and encoded(res, headers, name)
    if not fields then return res end
    headers = web_core.headers(headers) -- a copy: the handler may use its response again
    headers["Content-Encoding"] = name
    headers["Content-Length"], headers["Accept-Ranges"] = nil, nil
    weaken(headers)
    fields.status, fields.headers = res.status, headers
    return response.new(fields)
  end
end

return M
