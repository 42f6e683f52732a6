--- Writing multipart/form-data (RFC 7578): what a client sends when it uploads.
--
--   local form = multipart.form { title = "Cat", photo = { filename = "cat.jpg", path = "/tmp/1.jpg" } }
--   form.content_type     "multipart/form-data; boundary=..."
--   form.length           bytes in all, or nil when a `chunks` field has no `length`
--   form.repeatable       may chunks() be called again? (false with a `chunks` field)
--   for chunk in form:chunks() do ... end
local crypto = require "moonloop.crypto"
local fail = require "moonloop.core".fail
local files = require "moonloop.web.files.core"
local options = require "moonloop.core.options"

local multipart = {}

local FILE_CHUNK = 64 * 1024
local BOUNDARY_BYTES = 18 -- random, so that nobody can craft a body that contains it
local FIELDS = { name = "string", value = true, body = "string", path = "string", chunks = "function",
  length = "integer", filename = "string", content_type = "string" }

local Form = {}
Form.__index = Form

--- Raises an error about an argument, with the line of the script.
local function argument_error(message, ...) fail(message:format(...)) end

--- A name or file name between quotes, as browsers write it: only these three are escaped.
local function quote(text)
  return '"' .. text:gsub('[\r\n"]', { ["\r"] = "%0D", ["\n"] = "%0A", ['"'] = "%22" }) .. '"'
end

--- A NUL in a name cannot be sent, since no escape exists for it.
local function check_name(what, text)
  if text and text:find("\0", 1, true) then argument_error("%s %q contains a NUL", what, text) end
end

local function check_file(name, file)
  local problem = options.problem(file, FIELDS, "the form's field '" .. name .. "'", "key")
  if problem then fail(problem) end
  local sources = 0
  for _, key in ipairs { "value", "body", "path", "chunks" } do
    if file[key] ~= nil then sources = sources + 1 end
  end
  if sources ~= 1 then
    argument_error("field '%s': exactly one of value, body, path and chunks is needed", name)
  end
  if file.length and (file.length < 0 or not file.chunks) then
    argument_error("field '%s': the length must not be negative, and is allowed only with chunks", name)
  end
  if file.content_type and file.content_type:find("%c") then
    argument_error("field '%s': content_type has a control character", name)
  end
  check_name("filename", file.filename)
end

--- The value of a field that is not a table, as text.
local function text_of(name, value)
  if type(value) == "string" then return value end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  argument_error("field '%s': the value is a %s (expected a string, a number, a boolean or a table)",
    name, type(value))
end

--- The last part of a path: the default name of an uploaded file.
local function base_name(path) return path:match "^.*/(.*)$" or path end

--- The head of a part and where its content comes from.
local function part_of(name, field)
  check_name("field", name)
  local part = { name = name }
  local head = { "Content-Disposition: form-data; name=", quote(name) }
  if type(field) == "table" then
    check_file(name, field)
    local filename = field.filename or field.path and base_name(field.path)
    local content_type = field.content_type
    if filename then
      head[#head + 1] = "; filename=" .. quote(filename)
      content_type = content_type or "application/octet-stream"
    end
    if content_type then head[#head + 1] = "\r\nContent-Type: " .. content_type end
    part.path, part.chunks, part.length = field.path, field.chunks, field.length
    part.text = field.body
    if field.value ~= nil then part.text = text_of(name, field.value) end
  else
    part.text = text_of(name, field)
  end
  part.head = table.concat(head) .. "\r\n\r\n"
  return part
end

--- All parts, in the order of the list, or sorted by name for a table.
local function parts_of(fields)
  local parts = {}
  if fields[1] ~= nil then
    for i, field in ipairs(fields) do
      if type(field) ~= "table" or type(field.name) ~= "string" then
        argument_error("field %d of the list is not a table with a name", i)
      end
      parts[i] = part_of(field.name, field)
    end
    return parts
  end
  local names = {}
  for name in pairs(fields) do
    if type(name) ~= "string" then argument_error("a field's name is a %s (expected a string)", type(name)) end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = fields[name]
    local list = type(value) == "table" and value[1] ~= nil and value or { value }
    for _, field in ipairs(list) do parts[#parts + 1] = part_of(name, field) end
  end
  return parts
end

--- Measures a part's file. Returns nil, err when it cannot be read.
local function measure(part)
  local size, err, _, _, file = files.open(part.path, 0)
  if not size then
    err.message = ("field '%s': %s"):format(part.name, err.message)
    return nil, err
  end
  if size > 0 then file:close() end
  part.length = size
  return true
end

--- multipart.form(fields) -> form | nil, err. `fields` is a table of name -> value, or a list of
-- {name =, ...} when the order matters. A value is a string, number or boolean, a list of values,
-- or a table with one of value, body (text), path (a file that is read when the form is sent) and
-- chunks (a function that returns the next piece of text, nil at the end; with length = bytes if
-- known); and filename (default for a path: its last part), content_type (default for a file:
-- application/octet-stream). nil, err if a file cannot be read; wrong arguments raise. Files
-- are read without blocking the loop: this function and the iterator suspend.
function multipart.form(fields)
  if type(fields) ~= "table" then argument_error("the fields of a form are a %s (expected a table)", type(fields)) end
  local form = { parts = parts_of(fields), repeatable = true, length = 0 }
  local boundary = crypto.base64url(crypto.random(BOUNDARY_BYTES))
  form.content_type = "multipart/form-data; boundary=" .. boundary
  for i, part in ipairs(form.parts) do
    part.head = (i > 1 and "\r\n--" or "--") .. boundary .. "\r\n" .. part.head
    if part.path then
      local ok, err = measure(part)
      if not ok then return nil, err end
    elseif part.text then
      part.length = #part.text
    end
    if part.chunks then form.repeatable = false end
    form.length = form.length and part.length and form.length + #part.head + part.length
  end
  form.tail = (#form.parts > 0 and "\r\n--" or "--") .. boundary .. "--\r\n"
  form.length = form.length and form.length + #form.tail
  return setmetatable(form, Form)
end

--- Checks that a part gives what its length promised, piece by piece.
local function counted(part, next_piece)
  local left = part.length
  return function()
    local piece = next_piece()
    if piece ~= nil and type(piece) ~= "string" then
      error(("field '%s': chunks gave a %s (expected a string or nil)"):format(part.name, type(piece)), 0)
    end
    left = left and left - #(piece or "")
    if left and (left < 0 or not piece and left > 0) then
      error(("field '%s': %s bytes than its length of %d"):format(part.name,
        left < 0 and "more" or "fewer", part.length), 0)
    end
    return piece
  end
end

--- Opens a file that was not empty when the form was made. If it is empty now, files.open returns only
-- its content.
local function open_file(path)
  local _, _, _, _, file = assert(files.open(path, 0))
  return file ~= "" and file or { read = function() return "" end, close = function() end }
end

--- The pieces of a part's content; `open` keeps its file. If a file has grown since, only its first
-- `length` bytes are sent.
local function pieces_of(part, open)
  if part.text then
    local text = part.text
    return function()
      local piece = text
      text = nil
      return piece
    end
  end
  if part.chunks then return counted(part, part.chunks) end
  local at = 0
  return counted(part, function()
    if at < part.length then
      open.file = open.file or open_file(part.path)
      local piece, err = open.file:read(at, math.min(FILE_CHUNK, part.length - at))
      if err then error(err, 0) end
      at = at + #piece
      if piece ~= "" then return piece end
    end
    open:close()
  end)
end

local Open = { __index = {} }
--- Closes the file that is being sent, if there is one.
function Open.__index.close(open)
  if open.file then open.file:close() end
  open.file = nil
end
Open.__close = Open.__index.close

--- for chunk in form:chunks() do: the pieces of the body. Raises if a file can no longer be read, or if
-- a field does not have the length it declared.
function Form:chunks()
  local i, next_piece = 0, nil
  local open = setmetatable({}, Open)
  local function next_chunk()
    while i <= #self.parts do
      local piece
      if next_piece then piece = next_piece() end
      if piece == nil then
        i = i + 1
        local part = self.parts[i]
        if not part then return self.tail end
        next_piece = pieces_of(part, open)
        return part.head
      end
      if piece ~= "" then return piece end
    end
  end
  return next_chunk, nil, nil, open
end

--- form:text() -> the whole body as one string.
function Form:text()
  local pieces = {}
  for piece in self:chunks() do pieces[#pieces + 1] = piece end
  return table.concat(pieces)
end

return multipart
