--- `req:form()` and `req:parts()`: the forms that browsers send (the URL standard's
-- application/x-www-form-urlencoded, and multipart/form-data of RFC 7578).
--
-- What is wrong with a form is an error object of kind "form" with the status of the answer: 400,
-- 413 where a limit is exceeded, 415 for a body that is no form.
local core = require "moonloop.core"
local file_writer = require "moonloop.file_writer"
local forms = require "moonloop.forms"

local M = {}

local MB = 1024 * 1024

-- Bytes, but for max_fields. The parts of a stream are bounded by the route's max_body.
local FORM_LIMITS = { max_fields = 1000, max_header = 8192, max_field = MB, max_file = 10 * MB }
local PARTS_LIMITS = { max_fields = 1000, max_header = 8192, max_field = math.maxinteger,
  max_file = math.maxinteger }

local READ_LIMIT = MB -- of part:read()

local function form_error(status, message)
  return core.error { kind = "form", status = status, message = message }
end

--- The limits of a call on top of those that hold without them. Wrong ones are the mistake of the
-- script that called into this file.
local function limits_of(given, defaults)
  if given == nil then return defaults end
  if type(given) ~= "table" then
    error("the limits of a form are a " .. type(given) .. " (expected a table)", 3)
  end
  local limits = {}
  for name, default in pairs(defaults) do limits[name] = given[name] or default end
  for name, value in pairs(given) do
    if not defaults[name] then error("unknown limit '" .. tostring(name) .. "' of a form", 3) end
    if math.type(value) ~= "integer" or value < 0 then
      error("limit '" .. name .. "' of a form is not an integer from 0", 3)
    end
  end
  return limits
end

--- The media type of the body, in lower case; and the whole Content-Type.
local function content_type_of(req)
  local content_type = req.headers["content-type"] or ""
  return content_type:match("^[^;]*"):match("^%s*(.-)%s*$"):lower(), content_type
end

-- --- a stream of parts ---

local Stream = {} -- reader, current part, and the iterator of the body's pieces
Stream.__index = Stream

--- Begins to read the parts of the body. Returns nil, err when it is no multipart form.
local function open_stream(req, limits)
  local _, content_type = content_type_of(req)
  local reader, err = forms.multipart(content_type, limits.max_fields, limits.max_header,
    limits.max_field, limits.max_file)
  if not reader then return nil, err end
  local stream = setmetatable({ reader = reader }, Stream)
  stream.next_chunk, stream.state, stream.control = req:chunks()
  return stream
end

--- The next event of the parser, which gets pieces of the body as it wants them: see
-- forms.multipart's reader. After "end" and the rest of the body, nil.
function Stream:pull()
  while true do
    local event, a, b, c, d = self.reader:next()
    if event and event ~= "end" then return event, a, b, c, d end
    if not event then
      self.control = self.next_chunk(self.state, self.control)
      if self.control == nil then
        event, a = self.reader:finish()
        if event == "bad" then return event, a end
        return nil
      end
      self.reader:feed(self.control)
    end
  end
end

local Part = {} -- what scripts see; `stream` is its stream
Part.__index = Part
Part.__name = "moonloop.web.part"

--- The next piece of the part's content; nil at its end, nil and an error object when the form is
-- bad.
local function next_piece(part)
  local stream = part.stream
  if stream.part ~= part then
    error("part '" .. part.name .. "' was left behind: it can be read before the next one only", 3)
  end
  if part.ended then return nil end
  local event, piece = stream:pull()
  if event == "data" then return piece end
  part.ended = true
  return nil, event == "bad" and piece or nil
end

--- The next part, past what is left of the last one; nil at the end; nil, err when the form is bad.
function Stream:next_part()
  if self.part then
    repeat
      local piece, err = next_piece(self.part)
      if err then return nil, err end
    until not piece
  end
  self.part = nil
  local event, name, filename, content_type, headers = self:pull()
  if event == "bad" then return nil, name end
  if not event then return nil end
  self.part = setmetatable({ name = name, filename = filename, content_type = content_type or "text/plain",
    headers = headers, stream = self }, Part)
  return self.part
end

--- All that is left of the part, at most `max` bytes; nil, err when the form is bad.
local function read(part, max)
  local pieces, size = {}, 0
  while true do
    local piece, err = next_piece(part)
    if err then return nil, err end
    if not piece then return table.concat(pieces) end
    size = size + #piece
    if size > max then
      return nil, form_error(413, ("a part of the form has more than %d bytes"):format(max))
    end
    pieces[#pieces + 1] = piece
  end
end

--- part:read([max]) -> its content, or what is left of it. Raises an error with the status 413 when
-- that is more than `max` bytes (1 MB).
function Part:read(max)
  if max == nil then max = READ_LIMIT end
  if math.type(max) ~= "integer" or max < 0 then
    error("bad argument #1 to 'read' (a number of bytes expected)", 2)
  end
  local content, err = read(self, max)
  if err then error(err, 0) end
  return content
end

--- for piece in part:chunks() do: its content as it comes.
function Part:chunks()
  return function()
    local piece, err = next_piece(self)
    if err then error(err, 0) end
    return piece
  end
end

--- part:save(path) -> bytes | nil, err: writes what is left of the content to a file, without
-- blocking the loop. It has the name `path` once it is whole; until then it is called
-- path.RANDOM.part, and is removed if the form is bad, the client goes away or the disk is full (an
-- error of kind "file"). Raises the error objects of bad forms.
function Part:save(path)
  local file <close>, err = file_writer.create(path)
  if not file then return nil, err end
  local size = 0
  for piece in self:chunks() do
    local ok, why = file:write(piece)
    if not ok then return nil, why end
    size = size + #piece
  end
  local ok, why = file:keep()
  if not ok then return nil, why end
  return size
end

--- for part in req:parts([limits]) do: the parts of a multipart form while it is received. A part
-- has name, filename (nil for a field that is no file; as the client sent it: no path to write to),
-- content_type, headers, and is read with part:read([max]), part:chunks() or part:save(path) before
-- the next one; what is not read is skipped. `limits`: max_fields (parts, 1000), max_header (bytes of a part's
-- headers, 8192), max_field and max_file (bytes of a part without and with a file name; by default
-- what max_body of the route allows). Raises the error objects of bad forms.
function M.parts(req, limits)
  local stream, err = open_stream(req, limits_of(limits, PARTS_LIMITS))
  if not stream then error(err, 0) end
  return function()
    local part, wrong = stream:next_part()
    if wrong then error(wrong, 0) end
    return part
  end
end

-- --- whole forms ---

local function read_multipart(req, limits)
  local stream, err = open_stream(req, limits)
  if not stream then return nil, err end
  local values, fields = {}, {}
  while true do
    local part, wrong = stream:next_part()
    if not part then
      if wrong then return nil, wrong end
      return values, fields
    end
    local value
    value, wrong = read(part, math.maxinteger) -- the stream has its limits
    if wrong then return nil, wrong end
    if part.filename then
      value = { filename = part.filename, content_type = part.content_type, body = value }
    end
    values[part.name] = value
    fields[#fields + 1] = { name = part.name, value = value }
  end
end

-- Request -> its form as it was read: a streamed body comes once, and middleware may ask first.
local known = setmetatable({}, { __mode = "k" })

--- req:form([limits]) -> values, fields | nil, err. `values` is a table of name -> value; of equal
-- names the last one stands, and `fields` is the list of all as {name =, value =} in their order. A
-- value is a string, or for a file {filename =, content_type =, body =} (a file field that was left
-- empty: filename and body are ""). `limits`: max_fields (1000), max_header (8192 bytes of a part's
-- headers), max_field (1 MB) and max_file (10 MB; the whole body is bounded by the route's
-- max_body). An error has the status 400, 413 or 415. A second call gives the same results.
function M.form(req, limits)
  limits = limits_of(limits, FORM_LIMITS)
  local form = known[req]
  if form then return form[1], form[2] end
  local media_type = content_type_of(req)
  if media_type == "application/x-www-form-urlencoded" then
    form = { forms.urlencoded(req.body, limits.max_fields, limits.max_field) }
  elseif media_type == "multipart/form-data" then
    form = { read_multipart(req, limits) }
  else
    return nil, form_error(415, "the body is no form")
  end
  known[req] = form
  return form[1], form[2]
end

return M
