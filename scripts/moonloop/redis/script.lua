--- r:script: Lua code that runs on the server.
local arguments = require "moonloop.redis.arguments"
local raw = require "moonloop.redis.raw"
local unexpected = require "moonloop.redis.unexpected"

local Script = {}
Script.__index = Script
Script.__name = "moonloop.redis.script"

-- Loads the script and returns its SHA-1.
local function load(script)
  local sha, err = raw.SCRIPT(script.client, "LOAD", script.source)
  if type(sha) ~= "string" then return nil, err or unexpected "SCRIPT LOAD" end
  script.sha = sha
  return sha
end

--- script(keys, ...) -> value | nil, err
-- Runs the script with a list of keys (KEYS) and arguments (ARGV). If the server has forgotten it, as after a
-- restart, sends it again.
function Script:__call(keys, ...)
  if type(keys) ~= "table" then
    arguments.raise("script: a list of keys expected, got %s", type(keys))
  end
  if not self.sha then
    local sha, err = load(self)
    if not sha then return nil, err end
  end
  local value, err = raw.EVALSHA(self.client, self.sha, #keys, keys, ...)
  if err and err.code == "NOSCRIPT" then return raw.EVAL(self.client, self.source, #keys, keys, ...) end
  return value, err
end

local M = {}

--- r:script(source) -> script, which can be called
function M.new(client, source)
  arguments.text("script", "its source", source)
  return setmetatable({ client = client, source = source }, Script)
end

return M
