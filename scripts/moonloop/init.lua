--- The `moonloop` module: what `require "moonloop"` gives.
local core = require "moonloop.core"

local ml = {
  sleep = core.sleep,
  now = core.now,
  spawn = core.spawn,
  current = core.current,
  timeout = core.timeout,
  is_error = core.is_error,
  gather = require "moonloop.gather",
}

-- Loaded when they are first used: a script that only sleeps starts without curl and threads.
local lazy = {
  http = "moonloop.http",
  json = "moonloop.json",
  executor = "moonloop.executor",
  web = "moonloop.web",
}

return setmetatable(ml, {
  __index = function(self, key)
    local name = lazy[key]
    if not name then return nil end
    local module = require(name)
    rawset(self, key, module)
    return module
  end,
})
