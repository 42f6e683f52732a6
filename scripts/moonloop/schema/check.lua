--- The functions of :check, which run over a value that fits already.
local core = require "moonloop.core"
local define = require "moonloop.schema.define"
local json = require "moonloop.json"
local media_type_of = require "moonloop.core.media_type"
local names = require "moonloop.schema.names"

local LARGEST = 100 -- errors in a list
local LARGEST_INPUT = 1024 -- bytes

local visit
local parts = {}

local function visit_at(run, schema, value, key)
  local loc = run.loc
  loc[#loc + 1] = key
  visit(run, schema, value)
  loc[#loc] = nil
end

function parts.object(run, def, value)
  for _, field in ipairs(def.fields) do
    local item = value[field[1]]
    if item ~= nil then visit_at(run, field[2], item, field[1]) end
  end
  if define.of(def.extra) then
    local own = {}
    for _, field in ipairs(def.fields) do own[field[1]] = true end
    for key, item in pairs(value) do
      if not own[key] then visit_at(run, def.extra, item, key) end
    end
  end
end

function parts.map(run, def, value)
  for key, item in pairs(value) do visit_at(run, def.item, item, key) end
end

function parts.list(run, def, value)
  for i, item in ipairs(value) do visit_at(run, def.item, item, i - 1) end
end

function parts.tuple(run, def, value)
  for i, item in ipairs(def.items) do visit_at(run, item, value[i], i - 1) end
end

function parts.union(run, def, value)
  for _, branch in ipairs(def.items) do
    if run.fits(branch, value) then return visit(run, branch, value) end
  end
end

function parts.tagged(run, def, value)
  for _, branch in ipairs(def.branches) do
    if branch[1] == value[def.tag] then return visit_at(run, branch[2], value, branch[1]) end
  end
end

--- The value as an answer repeats it: if it is short, and JSON.
local function shown(value)
  if type(value) == "string" then
    if #value <= LARGEST_INPUT then return utf8.len(value) and value or "..." end
    local stop = LARGEST_INPUT + 1
    while stop > 1 and value:byte(stop) & 0xC0 == 0x80 do stop = stop - 1 end
    return utf8.len(value, 1, stop - 1) and value:sub(1, stop - 1) or "..."
  end
  local ok, text = pcall(json.encode, value)
  if not ok or #text > LARGEST_INPUT then return "..." end
  return value
end

local function add(run, kind, msg, input, ctx)
  run.errors[#run.errors + 1] = {
    type = kind, loc = json.array(table.move(run.loc, 1, #run.loc, 1, {})), msg = msg, input = input, ctx = ctx,
  }
end

--- A message as JSON can have it: it may repeat a part of the value that ends inside of a character.
local function well_formed(text)
  local pieces, from = {}, 1
  local _, at = utf8.len(text)
  while at do
    pieces[#pieces + 1] = text:sub(from, at - 1)
    from = at + 1
    _, at = utf8.len(text, from)
  end
  if not pieces[1] then return text end
  pieces[#pieces + 1] = text:sub(from)
  return table.concat(pieces, "\u{FFFD}")
end

--- Is the media type one of the list, which has "image/*" for all of a kind?
local function is_among(types, content_type)
  local media_type = media_type_of(content_type)
  for _, wanted in ipairs(types) do
    wanted = wanted:lower()
    if wanted == media_type or wanted == "*/*" then return true end
    local kind = wanted:match "^(.*/)%*$"
    if kind and media_type:sub(1, #kind) == kind then return true end
  end
  return false
end

function parts.file(run, def, value)
  if type(value) ~= "table" or type(value.filename) ~= "string" or type(value.body) ~= "string" then
    local why = "Expected a file, received: " .. (value == json.null and "null" or type(value))
    return add(run, "value_error", "Value error, " .. why, shown(value), { error = why })
  end
  -- A file is no part of an answer: its name stands for it.
  if def.opts.max and #value.body > def.opts.max then
    add(run, "file_too_large", ("File should have at most %d bytes"):format(def.opts.max), shown(value.filename),
      { max_size = def.opts.max, actual_size = #value.body })
  end
  local given = value.content_type or "application/octet-stream"
  if def.opts.types and not is_among(def.opts.types, given) then
    local types = table.concat(def.opts.types, ", ")
    add(run, "file_type", ("File should have the type %s"):format(types), shown(given), { expected = types })
  end
end

function parts.ref(run, def, value) visit(run, names.resolve(def, run.names), value) end

function visit(run, schema, value)
  local def = schema.def
  if def.nullable and value == json.null or #run.errors >= LARGEST then return end
  local before = #run.errors
  if parts[def.type] then parts[def.type](run, def, value) end
  if #run.errors > before then return end -- a whole is not checked whose parts are wrong
  for _, f in ipairs(def.checks or {}) do
    local message, second = f(value)
    if message == nil and second ~= nil then -- a habit from elsewhere, which would let everything pass
      core.fail(("schema:check: its function returned nil and a %s (expected nil or a message)"):format(type(second)))
    end
    if message ~= nil then
      if type(message) ~= "string" then
        core.fail(("schema:check: its function returned a %s (expected nil or a message)"):format(type(message)))
      end
      message = well_formed(message)
      local input
      if not def.opts.secret then input = shown(value) end
      return add(run, "value_error", "Value error, " .. message, input, { error = message })
    end
  end
end

--- run(schema, value, fits) -> nil, or the list of errors. fits(schema, value) tells if a value fits.
return function(schema, value, fits)
  local run = { errors = {}, loc = {}, names = names.of(schema), fits = fits }
  visit(run, schema, value)
  if run.errors[1] then return run.errors end
end
