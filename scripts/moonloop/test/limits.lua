--- How long specs may take. Each `it`, and each block around it (before_each, setup, the body of a
-- describe or a file, ...), has its own limit. When the time is over it fails with what it is waiting
-- for and where; the others still run.
--
-- busted calls the functions of a spec file with busted.safe(descriptor, element.run, element). The
-- replacement puts the limit around `run`.

local enter = require "moonloop.test.limit".enter

local M = {}

local default = 60 -- seconds

-- Functions that take `timeout`, for one `it` or for everything in a block.
local TAKES_OPTIONS = { it = true, spec = true, test = true, describe = true, context = true, insulate = true,
  expose = true }

--- Sets the default limit of specs; 0 is no limit. Returns false if the value is not valid.
function M.set_default(seconds)
  if not seconds or seconds < 0 or seconds ~= seconds then return false end
  default = seconds == 0 and math.huge or seconds
  return true
end

local function time_of(busted, element)
  while element do
    if element.timeout then return element.timeout end
    element = busted.context.parent(element)
  end
  return default
end

-- What is running, for messages, in short and in full. Blocks are called by busted's names.
local function names_of(descriptor, element)
  local what = descriptor == "it" and "the test" or descriptor == "file" and "the file"
    or descriptor:gsub("^strict_", "")
  local trace = element.trace
  local place = trace and trace.short_src and ("%s:%d: "):format(trace.short_src, trace.currentline) or ""
  return what, ("%s%s '%s'"):format(place, what, tostring(element.name or ""))
end

-- The levels of the stack that are not in a spec.
local function is_hosts(info) return info.source:find("^=%[moonloop%]") or info.what == "C" end

--- A traceback of the line at `level` alone. busted asks for one for each `it` that it is told of, where the whole
-- stack is of no use to anybody: it is that of busted's loader.
local function short_traceback(_, level)
  local info = debug.getinfo(level + 1, "Sl")
  return ("\nstack traceback:\n\t%s:%d"):format(info.short_src, info.currentline)
end

local function set_traceback(f) debug.traceback = f end -- luacheck: ignore 122

local restore_traceback = { __close = function(before) set_traceback(before[1]) end }

local defined -- the title of the element that busted is being told of

-- Puts the limits around what busted runs, and makes it name the line of the spec when an error comes
-- from the host's Lua code.
function M.guard(busted)
  local safe, get_trace = busted.safe, busted.getTrace

  function busted.safe(descriptor, run, element)
    if run ~= element.run and descriptor ~= "finally" then return safe(descriptor, run, element) end
    return safe(descriptor, function()
      local limit <close> = enter(time_of(busted, element), names_of(descriptor, element)) -- luacheck: ignore limit
      return run()
    end, element)
  end

  function busted.getTrace(element, level, message)
    level = level or 3
    local info = debug.getinfo(level, "S")
    while info and is_hosts(info) do
      level = level + 1
      info = debug.getinfo(level, "S")
    end
    level = info and level or 3
    if defined == nil or message ~= defined then return get_trace(element, level, message) end
    local traceback <close> = setmetatable({ debug.traceback }, restore_traceback) -- luacheck: ignore traceback
    set_traceback(short_traceback)
    local trace = get_trace(element, level + 1, message) -- this function is still on the stack
    return trace
  end
end

-- Raises an error at the line of the spec that gave the options.
local function refuse(name, what) error(("%s: %s"):format(name, what), 4) end

local function check_options(name, options)
  for option in pairs(options) do
    if option ~= "timeout" then
      refuse(name, ("unknown option '%s' (known: timeout)"):format(tostring(option)))
    end
  end
  local timeout = options.timeout
  if timeout ~= nil and (type(timeout) ~= "number" or timeout <= 0 or timeout ~= timeout) then
    refuse(name, ("timeout is a number of seconds above 0, not %s"):format(tostring(timeout)))
  end
end

local function is_options(value)
  return type(value) == "table" and not (debug.getmetatable(value) or {}).__call
end

--- it(name, {timeout = seconds}, f), and the same for blocks. Called when busted has made the function
-- `name`.
function M.take_options(busted, name)
  local plain = TAKES_OPTIONS[name] and busted.executors[name]
  if not plain then return end

  local function define(title, f)
    defined = title
    local result = plain(title, f)
    defined = nil
    return result
  end

  local function it(title, options, f)
    if not is_options(options) then return define(title, options) end
    check_options(name, options)
    if f == nil then refuse(name, "a function is missing after the options") end
    local before = #busted.context.children(busted.context.get())
    local result = define(title, f)
    local elements = busted.context.children(busted.context.get())
    if #elements > before then elements[#elements].timeout = options.timeout end -- otherwise it was filtered out
    return result
  end

  busted.executors[name] = it
  busted.export(name, it)
end

return M
