--- `req:form()` and `req:parts()`: the forms that browsers send (the URL standard's
-- application/x-www-form-urlencoded, and multipart/form-data of RFC 7578).
--
-- A bad form is an error object of kind "form" with the status of the answer: 400, 413 if a limit is
-- exceeded, 415 for a body that is not a form.
local core = require "moonloop.core"
local file_writer = require "moonloop.file_writer"
local forms = require "moonloop.forms"
local media_type_of = require "moonloop.core.media_type"
local options = require "moonloop.core.options"
local web = require "moonloop.web.core"

local fail = core.fail

local M = {}

local function check_limit(value)
  if math.type(value) ~= "integer" or value < 0 then return "an integer from 0" end
end

local OPTIONS = { raise = "boolean", max_fields = check_limit, max_header = check_limit, max_field = check_limit,
  max_file = check_limit }

local MB = 1024 * 1024

-- In bytes, except max_fields. The parts of a stream are bounded by the route's max_body.
local FORM_LIMITS = { max_fields = 1000, max_header = 8192, max_field = MB, max_file = 10 * MB }
local PARTS_LIMITS = { max_fields = FORM_LIMITS.max_fields, max_header = FORM_LIMITS.max_header,
  max_field = math.maxinteger, max_file = math.maxinteger }

local READ_LIMIT = MB -- of part:read()

local function form_error(status, message)
  return core.error { kind = "form", status = status, message = message }
end

--- The limits of a call: its options on top of the defaults. Also returns whether errors are raised.
local function limits_of(opts, defaults, whose)
  if opts == nil then return defaults, true end
  options.check(opts, OPTIONS, whose)
  local limits = {}
  for name, default in pairs(defaults) do limits[name] = opts[name] or default end
  return limits, opts.raise ~= false
end

local function check_request(req, method)
  if type(req) ~= "userdata" then core.bad_self(req, "request", method) end
end

--- The media type of the body, in lower case; and the whole Content-Type.
local function content_type_of(req)
  local content_type = req.headers["content-type"] or ""
  return media_type_of(content_type), content_type
end

-- --- a stream of parts ---

local Stream = {} -- reader, current part, and the body
Stream.__index = Stream

--- Begins to read the parts of the body. Returns nil, err if it is not a multipart form.
local function open_stream(req, limits)
  local _, content_type = content_type_of(req)
  local reader, err = forms.multipart(content_type, limits.max_fields, limits.max_header,
    limits.max_field, limits.max_file)
  if not reader then return nil, err end
  local _, body = req:chunks()
  return setmetatable({ reader = reader, body = body }, Stream)
end

--- The next event of the parser, which is fed pieces of the body as needed: see the reader of
-- forms.multipart. nil after "end" and the rest of the body.
function Stream:pull()
  while true do
    local event, a, b, c, d = self.reader:next()
    if event and event ~= "end" then return event, a, b, c, d end
    if not event then
      if not web.feed_form(self.body, self.reader) then
        event, a = self.reader:finish()
        if event == "bad" then return event, a end
        return nil
      end
    end
  end
end

local Part = {} -- the object that scripts see; `stream` is the one it comes from
Part.__index = Part
Part.__name = "moonloop.web.part"

local SAVE_OPTIONS = { replace = "boolean" }

local function check_part(part, method)
  if getmetatable(part) ~= Part then core.bad_self(part, "part", method) end
end

--- The next piece of the part's content; nil at its end, nil and an error object if the form is bad.
local function next_piece(part)
  local stream = part.stream
  if stream.part ~= part then
    fail("part '" .. part.name .. "' can no longer be read: read each part before asking for the next one")
  end
  if part.ended then return nil end
  local event, piece = stream:pull()
  if event == "data" then return piece end
  part.ended = true
  return nil, event == "bad" and piece or nil
end

--- The next part, after skipping the rest of the last one; nil at the end; nil, err if the form is bad.
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

--- The rest of the part, at most `max` bytes; nil, err if the form is bad.
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

--- part:read([max]) -> its content, or the rest of it. Raises an error with the status 413 if that is
-- more than `max` bytes (1 MB).
function Part:read(max)
  check_part(self, "read")
  if max == nil then max = READ_LIMIT end
  if math.type(max) ~= "integer" or max < 0 then
    fail("bad argument #1 to 'part:read' (a number of bytes expected)")
  end
  local content, err = read(self, max)
  if err then error(err, 0) end
  return content
end

--- for piece in part:chunks() do: its content as it comes.
function Part:chunks()
  check_part(self, "chunks")
  return function()
    local piece, err = next_piece(self)
    if err then error(err, 0) end
    return piece
  end
end

--- part:save(path [, {replace = false}]) -> bytes | nil, err: writes the rest of the content to a file that only
-- its owner can read, without blocking the loop. The file gets the name `path` once it is complete and on the disk.
-- Until then it is called path.RANDOM.part, and is removed if the form is bad, the client goes away or the disk is
-- full (an error of kind "file"). A file that has the name already is an error with the code "EEXIST", unless
-- `replace` says that it is to be replaced. Raises the error objects of bad forms.
function Part:save(path, opts)
  check_part(self, "save")
  local file <close>, err = file_writer.create(path, options.check(opts, SAVE_OPTIONS, "part:save").replace)
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

--- for part in req:parts([opts]) do: the parts of a multipart form while it is received. A part has
-- name, filename (nil if it is not a file; chosen by the client, so never a path to write to),
-- content_type and headers, and is read with part:read([max]), part:chunks() or part:save(path) before
-- the next one; unread content is skipped. `opts`: max_fields (parts, 1000), max_header (bytes of a
-- part's headers, 8192), max_field and max_file (bytes of a part without and with a file name; by
-- default what max_body of the route allows); raise (true): a bad form raises; with false, this call
-- or the iterator returns nil and the error.
function M.parts(req, opts)
  check_request(req, "parts")
  local limits, raises = limits_of(opts, PARTS_LIMITS, "req:parts")
  local stream, err = open_stream(req, limits)
  if not stream then
    if raises then error(err, 0) end
    return nil, err
  end
  return function()
    local part, wrong = stream:next_part()
    if wrong and raises then error(wrong, 0) end
    return part, wrong
  end
end

-- --- whole forms ---

local function read_multipart(req, limits)
  local stream, err = open_stream(req, limits)
  if not stream then return nil, err end
  local reader <close> = stream.reader
  reader:keep()
  web.hold_chunks(stream.body)
  local parts = {}
  while true do
    local part, wrong = stream:next_part()
    if wrong then return nil, wrong end
    if not part then break end
    parts[#parts + 1] = part
  end
  local values, fields = {}, {}
  for _, part in ipairs(parts) do
    local value = reader:take()
    if not part.filename and not utf8.len(value) then
      return nil, form_error(400, ("field '%s' is not UTF-8 (send binary data as a file)"):format(part.name))
    end
    if part.filename then
      value = { filename = part.filename, content_type = part.content_type, body = value }
    end
    values[part.name] = value
    fields[#fields + 1] = { name = part.name, value = value }
  end
  return values, fields
end

-- Request -> its parsed form: a streamed body can be read only once, and middleware may ask first.
local known = setmetatable({}, { __mode = "k" })

--- Reads the form of a request. Returns its values and fields, or nil and an error.
local function read_form(req, limits)
  local media_type = content_type_of(req)
  if media_type == "application/x-www-form-urlencoded" then
    return forms.urlencoded(req.body, limits.max_fields, limits.max_field)
  elseif media_type == "multipart/form-data" then
    return read_multipart(req, limits)
  end
  return nil, form_error(415, "the body is not a form")
end

--- req:form([opts]) -> values, fields. `values` is a table of name -> value; if a name repeats, the last
-- value is kept. `fields` is the list of all as {name =, value =} in their order. A value is a string,
-- or for a file {filename =, content_type =, body =} (filename and body are "" if the field was left
-- empty). `opts`: max_fields (1000), max_header (8192 bytes of a part's headers), max_field (1 MB) and
-- max_file (10 MB; the whole body is bounded by the route's max_body); raise (true): a bad form raises
-- an error with the status 400, 413 or 415; with false, the results are nil and the error. A second call
-- gives the same results.
function M.form(req, opts)
  check_request(req, "form")
  local limits, raises = limits_of(opts, FORM_LIMITS, "req:form")
  local form = known[req]
  if not form then
    form = { read_form(req, limits) }
    known[req] = form
  end
  if not form[1] and raises then error(form[2], 0) end
  return form[1], form[2]
end

return M
