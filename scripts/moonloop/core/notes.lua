--- Hints for errors that only say that something is nil. The host calls this when such an error ends a
-- task, and puts the text before the traceback.
local core = require "moonloop.core"

local getinfo, getlocal = debug.getinfo, debug.getlocal

local HOST = "=[moonloop]" -- how the names of the host's Lua parts begin

local MOST = 400 -- names passed to core.nearest at a time

-- Names that other systems use for what moonloop has under another name.
local elsewhere = {
  method = { push = "queue:put", pop = "queue:get", result = "task:await", join = "task:await", kill = "task:cancel",
    listen = "ml.web.listen", run = "ml.web.listen", serve = "ml.web.listen" },
  field = { listen = "ml.web.listen", pool = "ml.executor.new", app = "ml.web.app", create_task = "ml.spawn" },
  global = { await = "task:await", async = "ml.spawn", setTimeout = "ml.sleep", fetch = "ml.http.get" },
}

-- Names of the second parameter of handlers in other systems.
local responses = { res = true, resp = true, response = true, reply = true }

--- The innermost frame that belongs to a script: its level as seen by the caller, and its function.
local function script_frame()
  for level = 2, math.huge do
    local info = getinfo(level, "Sf")
    if not info then return nil end
    if info.what ~= "C" and info.source:sub(1, #HOST) ~= HOST then return level - 1, info.func end
  end
end

--- Does the function at `level`, counted from here, have a variable with the value?
local function holds(level, value)
  for i = 1, math.huge do
    local name, held = getlocal(level, i)
    if not name then return false end
    if rawequal(held, value) and name:sub(1, 1) ~= "(" then return true end
  end
end

--- The note for a nil that came with an error as its second result, which nobody looked at.
local function of_index(message, level, f)
  local name = message:match "%(local '([%w_]+)'%)"
  if responses[name] and getlocal(f, 2) == name then
    return "a handler gets the request alone; what it returns is the answer: function(req) return { ok = true } end"
  end
  local err = core.returned_error(f)
  if err == nil or holds(level + 1, err) then return nil end
  return ("the nil came with an error, the second result: %s; take both (local value, err = ...), or let " ..
    "assert(...) raise it"):format(tostring(err))
end

--- All public functions by their last name, with the full name as scripts write it.
local function public_names()
  local ml, names = require "moonloop", {}
  local function add(prefix, module)
    for name, value in pairs(module) do
      if type(value) == "function" then names[name] = names[name] or prefix .. name end
      if type(value) == "table" and prefix == "ml." then add("ml." .. name .. ".", value) end
    end
  end
  add("ml.", ml)
  return names, ml
end

--- The names of the methods of the host's classes.
local function method_names()
  local names = {}
  for class, meta in pairs(debug.getregistry()) do
    local name = type(class) == "string" and type(meta) == "table" and class:match "^moonloop%..*%f[%w_]([%w_]+)$"
    local methods = name and rawget(meta, "__index")
    if type(methods) == "function" then methods = select(2, debug.getupvalue(methods, 1)) end
    for method in pairs(type(methods) == "table" and methods or {}) do
      if type(method) == "string" then names[method] = method end
    end
  end
  return names
end

local function nearest(name, names)
  local list, best = require "moonloop.core.sorted_keys"(names), {}
  for i = 1, #list, MOST do
    best[#best + 1] = core.nearest(name, table.move(list, i, math.min(i + MOST - 1, #list), 1, {}))
  end
  local found = core.nearest(name, best)
  return found and names[found]
end

--- The note for a call of a function that does not exist.
local function of_call(message)
  local kind, name = message:match "%((%a+) '([%w_]+)'%)$"
  local other = elsewhere[kind] and elsewhere[kind][name]
  if other then return ("use %s"):format(other) end
  local names, ml = public_names()
  if names[name] and kind ~= "local" and kind ~= "upvalue" and not (kind == "field" and rawget(ml, name)) then
    return ("use %s"):format(names[name])
  end
  other = #(name or "") > 3 and (kind == "method" and nearest(name, method_names()) or kind == "field" and
    nearest(name, names))
  return other and other ~= name and ("did you mean %s?"):format(other) -- else it is a method of another class
end

--- The note for an error message, or nil. Called in a message handler.
return function(message)
  if message:find("attempt to call a nil value", 1, true) then return of_call(message) end
  if not message:find("a nil value", 1, true) then return nil end
  local level, f = script_frame()
  if level then return of_index(message, level, f) end
end
