--- Files as responses: conditional requests (RFC 9110 section 13) and ranges (section 14).
local conditional = require "moonloop.web.conditional"
local core = require "moonloop.web.files.core"
local fail = require "moonloop.core".fail
local options = require "moonloop.core.options"
local response = require "moonloop.web.response"
local web_core = require "moonloop.web.core"
local types = require "moonloop.web.types"

--- A file of at most this many bytes is read at once, a larger one in pieces of this size as the client
-- takes them.
local PIECE = 64 * 1024

local OPTIONS = { path = "string", type = "string", name = "string", max_age = "integer" }

local M = {}

--- Returns what is wrong with the fields of a file, or nil.
local function problem_of(file, whose, what)
  local problem = options.problem(file, OPTIONS, whose, what)
  if problem then return problem end
  if not file.path then return "a file has no path" end
  if file.max_age and file.max_age < 0 then
    return options.wrong("max_age", file.max_age, "a number of seconds", whose, what)
  end
  if file.name and file.name:find("%c") then
    return what .. " 'name' of " .. whose .. " has a control character"
  end
end

--- web.file(path [, {type =, name =, max_age =}]): the response that sends a file. `type` is its
-- Content-Type (by default taken from the extension); with `name`, browsers save it under that name;
-- caches may keep it for `max_age` seconds. Ranges and conditional requests are supported. A file that
-- cannot be opened is an error of the handler: 500. Use app:static for paths that come from clients.
function M.file(path, opts)
  if type(path) ~= "string" then
    fail("bad argument #1 to 'ml.web.file' (string expected, got " .. type(path) .. ")")
  end
  if opts ~= nil and type(opts) ~= "table" then
    fail("the options of ml.web.file are a " .. type(opts) .. " (expected a table)")
  end
  local file = { path = path }
  for name, value in pairs(opts or {}) do file[name] = value end
  local problem = problem_of(file, "ml.web.file", "option")
  if problem then fail(problem) end
  return response.new { file = file }
end

--- Content-Disposition for saving as `name` (RFC 6266): names that are not plain ASCII are sent encoded
-- (RFC 8187), with a plain one for clients that do not know the encoding.
local function disposition(name)
  local plain = name:gsub("[\x80-\xff]+", "_"):gsub('["\\%%]', "_")
  local header = 'attachment; filename="' .. plain .. '"'
  if plain == name or not utf8.len(name) then return header end
  local encoded = name:gsub("[^%w!#$&+.^_`|~-]", function(c) return ("%%%02X"):format(c:byte()) end)
  return header .. "; filename*=UTF-8''" .. encoded
end

--- Writes the bytes from `at` to `last` of the file. Nothing is read while the client is behind, so that one that
-- stays behind holds no piece, and its descriptor can be given to others.
local function send(file, out, at, last)
  while true do
    at = file:copy(out, at, last)
    if at > last then return end
    if not core.wait(out) then
      local bytes, err = file:read(at, math.min(PIECE, last - at + 1))
      if not bytes then error(err, 0) end
      -- The length has been sent already, so the error cuts the response short.
      if bytes == "" then error("the file became shorter while it was being sent") end
      out:write(bytes)
      at = at + #bytes
    end
  end
end

--- Makes a function that streams the pieces in the list: texts, and {first, last} offsets in `file`.
local function streamer(file, pieces)
  return function(out)
    local _ <close> = file
    for _, piece in ipairs(pieces) do
      if type(piece) == "string" then
        out:write(piece)
      else
        send(file, out, piece[1], piece[2])
      end
    end
  end
end

--- The pieces of a multipart/byteranges body for these ranges (section 14.6), and their length.
local function multipart(ranges, boundary, content_type, size)
  local pieces, length = {}, 0
  for i = 1, #ranges, 2 do
    local first, last = ranges[i], ranges[i + 1]
    local head = ("%s--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"):format(
      i > 1 and "\r\n" or "", boundary, content_type, first, last, size)
    pieces[#pieces + 1] = head
    pieces[#pieces + 1] = { first, last }
    length = length + #head + last - first + 1
  end
  local tail = "\r\n--" .. boundary .. "--\r\n"
  pieces[#pieces + 1] = tail
  return pieces, length + #tail
end

--- Sets the body: the pieces of `content`, which is the whole file or an open one.
local function set_body(res, req, content, pieces, length)
  if type(content) == "string" then
    for i, piece in ipairs(pieces) do
      if type(piece) == "table" then pieces[i] = content:sub(piece[1] + 1, piece[2] + 1) end
    end
    res.body = pieces[2] and table.concat(pieces) or pieces[1] or ""
    return
  end
  if req.method == "HEAD" then content:close() end
  res.headers["Content-Length"] = length
  res.stream = streamer(content, pieces)
end

--- Turns `res` into a response without a body: 304, 412 or 416.
local function leave_out(res, status, content, size)
  if type(content) ~= "string" then content:close() end
  local headers = res.headers
  headers["Content-Type"], headers["Content-Disposition"] = nil, nil
  res.status = status
  if status ~= 304 then
    headers["ETag"], headers["Last-Modified"], headers["Cache-Control"] = nil, nil, nil
    res.json = { detail = web_core.reason(status) }
  end
  if status == 416 then headers["Content-Range"] = "bytes */" .. size end
  return res
end

--- answer(req, opts, size, etag, modified, content) -> response for a file as core.open returns it.
-- opts: `path` or `type`, `name`, `max_age`, and the `status` and `headers` set by a handler.
function M.answer(req, opts, size, etag, modified, content)
  -- Copies the headers, since the handler may use its response again.
  local res = response.new { status = opts.status, headers = web_core.headers(opts.headers) }
  local headers, status, ranges = res.headers, res.status, {}
  local content_type = headers["Content-Type"] or opts.type or types.of(opts.path)
  headers["Content-Type"] = content_type
  -- A browser that guesses runs an upload called x.txt as the page that it looks like.
  if headers["X-Content-Type-Options"] == nil then headers["X-Content-Type-Options"] = "nosniff" end
  if opts.name then headers["Content-Disposition"] = disposition(opts.name) end
  if opts.max_age then headers["Cache-Control"] = "max-age=" .. opts.max_age end
  if status == 200 and (req.method == "GET" or req.method == "HEAD") then
    headers["ETag"] = headers["ETag"] or etag
    headers["Last-Modified"] = conditional.date(modified)
    headers["Accept-Ranges"] = "bytes"
    ranges = { conditional.wanted(req.method, req.headers, headers["ETag"], modified, size) }
    status = table.remove(ranges, 1)
    if status ~= 200 and status ~= 206 then return leave_out(res, status, content, size) end
    res.status = status
  end
  if ranges[3] then
    local boundary = ("%016x%016x"):format(math.random(0), math.random(0))
    headers["Content-Type"] = "multipart/byteranges; boundary=" .. boundary
    set_body(res, req, content, multipart(ranges, boundary, content_type, size))
  else
    local first, last = ranges[1] or 0, ranges[2] or size - 1
    if status == 206 then headers["Content-Range"] = ("bytes %d-%d/%d"):format(first, last, size) end
    set_body(res, req, content, { { first, last } }, last - first + 1)
  end
  return res
end

--- finish(req, res) -> the response that sends the file of `res`. Called by the server; suspends.
function M.finish(req, res)
  local file = res.file
  if type(file) == "string" then file = { path = file } end
  local problem = problem_of(file, "the file of a response", "field")
  if problem then error(problem, 0) end
  local size, etag, modified, _, content = core.open(file.path, PIECE)
  if not size then error(etag, 0) end
  return M.answer(req, { path = file.path, type = file.type, name = file.name, max_age = file.max_age,
    status = res.status, headers = res.headers }, size, etag, modified, content)
end

--- The same for a path from a client, beneath the directory `root` (see core.open_beneath).
function M.open_beneath(root, path, index) return core.open_beneath(root, path, index, PIECE) end

return M
