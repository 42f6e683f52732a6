--- The frames of errors, with their locals, as texts: taken where an error is raised, while they still stand. What
-- is taken belongs to the request whose tasks the error passes through.
local core = require "moonloop.core"
local secrets = require "moonloop.dev.secrets"
local value = require "moonloop.dev.value"

local M = {}

local LEVELS, FRAMES, LOCALS, BYTES, RAISED = 200, 25, 40, 60000, 8

local notes = core.var "moonloop.dev" -- of the request: {keeper =, raised = list, left = bytes}

local function name_of(info)
  if info.name then return ("%s '%s'"):format(info.namewhat ~= "" and info.namewhat or "function", info.name) end
  if info.what == "main" then return "main chunk" end
  return ("function <%s:%d>"):format(info.short_src, info.linedefined)
end

--- The local as a row, {name =, text =}; `note.left` goes down by its size.
local function row(name, v, note)
  local text
  if note.left <= 0 then
    text = "..."
  elseif secrets.is_secret(name) then
    text = note.keeper.hide(v)
  else
    text = value.text(v, note.keeper.hide)
  end
  note.left = note.left - #text
  return { name = name, text = text }
end

--- Has the answer this error asks for nothing to do with a fault?
local function is_answer(err)
  local status = core.is_error(err) and rawget(err, "status")
  return math.type(status) == "integer" and status < 500
end

--- Called where the error is raised: its callers are above.
local function on_raised(err)
  local note = notes:get()
  if not note or #note.raised >= RAISED or is_answer(err) then return end
  local frames, more = {}, false
  local getinfo, getlocal = debug.getinfo, debug.getlocal
  for level = 2, LEVELS do
    local info = getinfo(level, "Slnt")
    if not info then break end
    more = level == LEVELS or #frames == FRAMES
    if more then break end
    if info.what ~= "C" and info.source:sub(1, 11) ~= "=[moonloop]" then
      local locals, places = {}, {} -- a later local of a name hides the earlier one
      for i = 1, 250 do
        local name, v = getlocal(level, i)
        if not name then break end
        if name:sub(1, 1) ~= "(" and (places[name] or #locals < LOCALS) then
          local at = places[name] or #locals + 1
          locals[at], places[name] = row(name, v, note), at
        end
      end
      for i = 1, 5 do
        local name, v = getlocal(level, -i)
        if not name then break end
        locals[#locals + 1] = row("... " .. i, v, note)
      end
      frames[#frames + 1] = { source = info.source, place = info.short_src, line = info.currentline,
        name = name_of(info), locals = locals, is_tail = info.istailcall }
    end
  end
  note.raised[#note.raised + 1] = { err = err, frames = frames, more = more }
end

--- From now on errors of requests are looked at.
function M.watch() core.on_raised(on_raised) end

--- The running task handles a request from here on.
function M.begin() notes:set { keeper = secrets.keeper(), raised = {}, left = BYTES } end

--- What was taken of this task's request, or nil.
function M.note() return notes:get() end

--- The frames that raised `err`: the list of {source, place, line, name, locals, is_tail}, innermost first, and
-- whether there were more; nil if none were taken. Behind those of the task that raised it come those of the tasks
-- that it went through, the first of each with `is_waiting`.
function M.of(err)
  local note, all, more = notes:get(), nil, false
  for _, raised in ipairs(note and note.raised or {}) do
    if rawequal(raised.err, err) and raised.frames[1] then
      if all then raised.frames[1].is_waiting = true end
      all, more = all or {}, more or raised.more
      table.move(raised.frames, 1, #raised.frames, #all + 1, all)
    end
  end
  return all, more
end

return M
