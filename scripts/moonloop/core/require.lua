--- `require` as Lua code, so that a module may wait while it loads. Lua's own is a C function, and a
-- task cannot be suspended inside it.
local core = require "moonloop.core"

local fail = core.fail

local loading = {} -- module name -> {task =, gate =, error =} while its loader runs
local waiting = {} -- task -> the record of `loading` it waits for

--- Calls a searcher. The error of a file that does not compile gets the line which requires it: Lua's searchers name
-- the line that has called them, and that is none under pcall.
local function ask(search, name)
  local ok, loader, data = pcall(search, name)
  if ok then return loader, data end
  if type(loader) == "string" and loader:find "^error loading module " then fail(loader) end
  error(loader, 0)
end

--- Finds the loader of `name`, as Lua's manual describes package.searchers.
local function find(name)
  local searchers = package.searchers
  if type(searchers) ~= "table" then fail("'package.searchers' must be a table") end
  local tried = {}
  for _, search in ipairs(searchers) do
    local loader, data = ask(search, name)
    if type(loader) == "function" then return loader, data end
    if type(loader) == "string" then tried[#tried + 1] = loader:gsub("^\n\t", "") end
  end
  fail(("module '%s' not found:\n\t%s"):format(name, table.concat(tried, "\n\t")))
end

--- Does the task that loads `record` wait, directly or through others, for what `task` loads?
local function is_circle(record, task)
  while record do
    if record.task == task then return true end
    record = waiting[record.task]
  end
  return false
end

--- Waits while another task loads `name`. Returns when it is loaded, or when no task is loading it.
local function wait_for(name, task)
  local record = loading[name]
  while record do
    if is_circle(record, task) then
      fail(("module '%s' is required while it is still loading (a circular require)"):format(name))
    end
    waiting[task] = record
    local left <close> = setmetatable({}, { __close = function() waiting[task] = nil end }) -- luacheck: ignore
    record.gate:wait()
    if record.failed then error(record.error, 0) end
    record = package.loaded[name] == nil and loading[name] or nil
  end
end

local closing = {
  __close = function(record, err)
    loading[record.name] = nil
    -- A cancelled loader says nothing about the module: the next task in line loads it.
    if err ~= nil and not core.is_own_cancel(err) then
      record.failed, record.error = true, err
    end
    record.gate:open()
  end,
}

--- Would the executor's workers find the same module? They have the same paths, the host's own modules,
-- and those that an embedding program has added.
local function is_found_anywhere(name, data)
  if name:find "^moonloop%f[.\0]" then return true end
  if data == ":preload:" then return core.is_added_module(name) end
  local function finds(path) return type(path) == "string" and package.searchpath(name, path) == data end
  return type(data) == "string" and (finds(package.path) or finds(package.cpath))
end

--- require(name) -> module [, loader data]
-- When several tasks require a module at the same time, one loads it and the others wait.
local function require_module(name)
  if type(name) == "number" then name = tostring(name) end
  if type(name) ~= "string" then
    fail(("bad argument #1 to 'require' (string expected, got %s)"):format(type(name)))
  end
  local loaded = package.loaded
  if loaded[name] then return loaded[name] end
  local task = core.current() or "no task"
  if loading[name] then
    wait_for(name, task)
    if loaded[name] then return loaded[name] end
  end
  local loader, data = find(name)
  local record <close> = setmetatable({ name = name, task = task, gate = core.gate() }, closing)
  loading[name] = record
  local value = loader(name, data)
  if value ~= nil then loaded[name] = value end
  if loaded[name] == nil then loaded[name] = true end
  if type(loaded[name]) == "table" and is_found_anywhere(name, data) then core.note_module(name, loaded[name]) end
  return loaded[name], data
end

return require_module
