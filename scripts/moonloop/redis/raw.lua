--- The commands by name, in capitals: raw.GET(client, key). A module of its own, because it then crosses to other Lua
-- states by its name, and with it what sends commands: caches, locks, scripts.
local core = require "moonloop.redis.core"
local expand = require "moonloop.redis.expand"

local maps = { HGETALL = true }

return setmetatable({}, { __index = function(raw, name)
  local f = core.command(name, maps[name], expand, function(...)
    return require "moonloop.redis.commands".on_cluster(...)
  end)
  raw[name] = f
  return f
end })
