--- `require` as Lua code, so that a module may wait while it is loaded. Lua's own is a C function,
-- through which nothing can be suspended.
local core = require "moonloop.core"

local loading = {} -- module name -> {task =, gate =, error =} while its loader runs
local waiting = {} -- task -> the record of `loading` it waits for

--- Finds the loader of `name`, as Lua's manual describes package.searchers.
local function find(name)
  local searchers = package.searchers
  if type(searchers) ~= "table" then error("'package.searchers' must be a table", 3) end
  local tried = {}
  for _, search in ipairs(searchers) do
    local loader, data = search(name)
    if type(loader) == "function" then return loader, data end
    if type(loader) == "string" then tried[#tried + 1] = loader:gsub("^\n\t", "") end
  end
  error(("module '%s' not found:\n\t%s"):format(name, table.concat(tried, "\n\t")), 3)
end

--- Does the task that loads `record` wait, over others perhaps, for what `task` loads?
local function is_circle(record, task)
  while record do
    if record.task == task then return true end
    record = waiting[record.task]
  end
  return false
end

--- Waits while another task loads `name`. Returns when it is loaded, or when nobody loads it.
local function wait_for(name, task)
  local record = loading[name]
  while record do
    if is_circle(record, task) then
      error(("module '%s' is required while it is being loaded (a circle of requires)"):format(name), 3)
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
    -- A cancelled loader says nothing about the module: the next one that waits loads it.
    if err ~= nil and not core.is_own_cancel(err) then
      record.failed, record.error = true, err
    end
    record.gate:open()
  end,
}

--- Do the executor's workers find the same module? They have the same paths, the host's own modules, and
-- those that the program which embeds it has added.
local function is_found_anywhere(name, data)
  if name:find "^moonloop%f[.\0]" then return true end
  if data == ":preload:" then return core.is_added_module(name) end
  local function finds(path) return type(path) == "string" and package.searchpath(name, path) == data end
  return type(data) == "string" and (finds(package.path) or finds(package.cpath))
end

--- require(name) -> module [, loader data]
-- Of tasks that require a module at the same time one loads it and the others wait.
local function require_module(name)
  if type(name) == "number" then name = tostring(name) end
  if type(name) ~= "string" then
    error(("bad argument #1 to 'require' (string expected, got %s)"):format(type(name)), 2)
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
