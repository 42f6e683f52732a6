--- `moonloop test --coverage`: LuaCov, which busted starts, also counts the lines that run in the executor's
-- jobs.
--
-- LuaCov's hook in the main task applies to all tasks. Each worker's state has its own LuaCov, which
-- writes its own file when the state is closed. The workers' states are closed before the main one, so
-- the main LuaCov adds those files to its figures when it is collected, not when os.exit is called.
--
-- LuaCov replaces coroutine.create and wrap with functions that cannot be copied to a worker. The host's
-- functions are put back; they pass the hook on to coroutines by themselves.

local core = require "moonloop.core"

local M = {}

--- Calls start(...), which starts LuaCov, and undoes those of its changes that are done differently here.
local function without_replacing(start, ...)
  local exit, create, wrap = os.exit, coroutine.create, coroutine.wrap
  local ok, message = start(...)
  os.exit, coroutine.create, coroutine.wrap = exit, create, wrap -- luacheck: ignore
  core.hook_coroutines()
  return ok, message
end

-- The LuaCov settings that can be passed to another state.
local function plain(value)
  if type(value) ~= "table" then return type(value) ~= "function" and value or nil end
  local copy = {}
  for key, field in pairs(value) do copy[key] = plain(field) end
  return copy
end

-- What each worker's state runs first.
local function starter(settings, folder)
  return function()
    settings.statsfile = ("%s/%s"):format(folder, tostring({}):match "0x%x+") -- no other state lives there
    settings.runreport = false
    without_replacing(require "luacov.runner".init, settings)
  end
end

-- Adds a file written by a worker's LuaCov.
local function add(runner, path)
  local found = require "luacov.stats".load(path) or {}
  for name, lines in pairs(found) do
    if runner.data[name] then
      runner.update_stats(runner.data[name], lines)
    else
      runner.data[name] = lines
    end
  end
  os.remove(path)
end

local function cover_jobs(runner)
  local lfs = require "lfs"
  local folder = os.tmpname()
  os.remove(folder)
  assert(lfs.mkdir(folder))
  package.preload["moonloop.executor.start"] = starter(plain(runner.configuration), folder)
  local save = runner.save_stats
  function runner.save_stats()
    for name in lfs.dir(folder) do
      if name:find "^0x" then add(runner, folder .. "/" .. name) end
    end
    lfs.rmdir(folder)
    save()
  end
end

--- Called before busted looks for LuaCov, so that what it starts counts jobs too.
function M.extend_to_jobs()
  local find = require "busted.modules.luacov"
  package.loaded["busted.modules.luacov"] = function()
    local start = find()
    return function(...)
      local ok, message = without_replacing(start, ...)
      if ok then cover_jobs(require "luacov.runner") end
      return ok, message
    end
  end
end

return M
