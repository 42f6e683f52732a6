--- Middleware that compresses responses (RFC 9110 section 8.4).
local coding = require "moonloop.web.coding"
local core = require "moonloop.core"
local options = require "moonloop.core.options"
local own_response = require "moonloop.web.own_response"
local response = require "moonloop.web.response"
local vary = require "moonloop.web.vary"
local web_core = require "moonloop.web.core"

--- Types worth compressing, besides text/*, *+json and *+xml.
local TYPES = {
  "application/json", "application/javascript", "application/xml", "application/x-ndjson",
  "application/wasm", "application/rtf", "image/bmp", "image/vnd.microsoft.icon", "font/ttf", "font/otf",
}

--- The clients of an event stream stay long, and an encoder takes more memory than the rest of the
-- connection: event streams are compressed only on request.
local EVENTS = "text/event-stream"

--- Bytes of a stream's long text compressed at a time; the result waits for the client.
local PIECE = 64 * 1024

--- Bytes of an encoder, which lasts as long as its stream: a client that reads slowly keeps it.
local ENCODER = { gzip = 300000, br = 700000 }

--- A compressed body larger than this share of the plain one is not worth decoding.
local GAIN = 0.9

--- A body of more bytes is compressed on a thread of libuv's pool, with a copy of its own. So many at once leave half
-- of the threads to files, and so many more may wait. Those beyond are sent as they are: the wait would cost more.
local LONG, WAITING = 32 * 1024, 16
local AT_ONCE = math.max(1, (tonumber(os.getenv "UV_THREADPOOL_SIZE") or 4) // 2)
local slots, waiting = core.semaphore(AT_ONCE), 0

local OPTIONS = { min = "integer", level = "integer", types = "table" }

local fail = core.fail

local M = {}

local function stop_waiting() waiting = waiting - 1 end

--- The compressed body, or nil if too many others are being compressed.
local function compressed_body(body, name, level)
  if #body <= LONG then return coding.compress(body, name, level) end
  if waiting >= AT_ONCE + WAITING then return nil end
  waiting = waiting + 1
  local _ <close> = setmetatable({}, { __close = stop_waiting })
  local _ <close> = slots:hold()
  return coding.compress(body, name, level)
end

--- Makes the function that says whether a Content-Type is compressed.
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

--- A header's value as one text, also if its lines are a list.
local function joined(value) return type(value) == "table" and table.concat(value, ", ") or value end

--- Strong entity tags differ for different bytes, so the compressed response gets a weak one.
local function weaken(headers)
  local etag = headers["ETag"]
  if etag and etag:sub(1, 2) ~= "W/" then headers["ETag"] = "W/" .. etag end
end

--- The `out` of a stream function whose response is compressed.
local Out = {}
Out.__index = Out

--- Compresses and sends all of the text. Not for several tasks at once.
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

--- As the connection's out:write. Each write is flushed, so the client can read what was written when
-- this returns.
function Out:write(...)
  local text = select("#", ...) == 1 and type(...) == "string" and ... or table.concat({ ... })
  if text == "" then return self end
  local _ <close> = self.turn:hold() -- writes of several tasks keep their order
  -- What a cancelled write could not send comes first.
  self.text, self.at = self.text:sub(self.at) .. text, 1
  self:drain()
  return self
end

--- Makes the stream function that compresses what `stream` writes.
local function compressed(stream, name, level)
  return function(out)
    local encoder <close> = coding.encoder(name, level)
    -- The bytes of `text` from `at` on are not compressed yet, and `pending` is not sent yet.
    local writer = setmetatable({ out = out, encoder = encoder, turn = core.lock(), text = "", at = 1, pending = "" },
      Out)
    stream(writer)
    local _ <close> = writer.turn:hold()
    writer:drain()
    out:write(encoder:finish())
  end
end

local function check_options(opts)
  opts = options.check(opts, OPTIONS, "ml.web.compress")
  if opts.min and opts.min < 0 then
    fail(options.wrong("min", opts.min, "a number of bytes", "ml.web.compress"))
  end
  if opts.level and (opts.level < 1 or opts.level > 9) then
    fail(options.wrong("level", opts.level, "1 to 9", "ml.web.compress"))
  end
  for _, name in ipairs(opts.types or {}) do
    if type(name) ~= "string" then
      fail("option 'types' of ml.web.compress has a " .. type(name) .. " (expected strings)")
    end
  end
  return opts
end

--- web.compress([{min =, level =, types =}]) -> middleware that sends bodies with brotli or gzip to
-- clients that accept it, if that makes them smaller. `min` (1024) is the least size in bytes; `level`
-- is 1 (fast) to 9 (small), 4 by default; `types` is a list of media types ("text/*" for a family), by
-- default those of text except text/event-stream. Streams are compressed piece by piece, and each
-- write is flushed; an encoder takes 0.3 MB (gzip) or 0.7 MB (brotli, default level 3 for streams) for
-- as long as its stream lasts, and streams are sent as they are while half of max_buffered is taken.
-- Not compressed: partial content, responses with a Content-Encoding, and those with Cache-Control:
-- no-transform. Long bodies are compressed on another thread while the task waits, a few at a time: where many wait
-- already, a body is sent as it is.
function M.compress(opts)
  opts = check_options(opts)
  local min, level, is_compressible = opts.min or 1024, opts.level, matcher(opts.types)

  local function is_for_coding(headers)
    if headers["Content-Encoding"] then return false end
    local cache = joined(headers["Cache-Control"])
    return not (cache and cache:lower():find("no-transform", 1, true))
  end

  --- May this response be compressed?
  local function is_eligible(res, headers)
    if res.status == 204 or res.status == 205 then return false end
    local content_type = headers["Content-Type"] or res.stream and "text/plain"
    return content_type ~= nil and is_compressible(content_type) and is_for_coding(headers)
  end

  --- May the whole that this partial response is taken from be compressed? With several ranges, the
  -- headers do not tell its type.
  local function may_vary(headers)
    local content_type = headers["Content-Type"]
    return content_type ~= nil and is_for_coding(headers)
      and (is_compressible(content_type) or content_type:find("^multipart/byteranges") ~= nil)
  end

  --- The compressed body, as fields of a response; nil if compression gains nothing.
  local function encoded(res, headers, name)
    if res.stream then
      if (tonumber(headers["Content-Length"]) or min) < min or not web_core.may_keep(ENCODER[name]) then return nil end
      return { stream = compressed(res.stream, name, level) }
    end
    local body = res.body
    if not body or #body < min then return nil end
    local smaller = compressed_body(body, name, level)
    return smaller and #smaller <= #body * GAIN and { body = smaller } or nil
  end

  return function(req, next)
    local res = next(req)
    local headers = res.headers
    if res.status == 304 then
      res = own_response(res)
      headers = res.headers
      vary(headers, "Accept-Encoding") -- the tag must match that of the client's cached response:
      if (req.headers["if-none-match"] or ""):find("W/", 1, true) then weaken(headers) end
      return res
    end
    if res.status == 206 then
      if may_vary(headers) then vary(headers, "Accept-Encoding") end -- as the whole does
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
    local coded = response.new(fields)
    rawset(coded, "_own_headers", rawget(res, "_own_headers"))
    return coded
  end
end

return M
