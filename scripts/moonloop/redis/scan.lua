--- r:scan: iterates over the keys of a database.
local arguments = require "moonloop.redis.arguments"
local raw = require "moonloop.redis.raw"
local unexpected = require "moonloop.redis.unexpected"

local M = {}

-- Another state would go through the keys on its own.
local Iterator = { __stays = "an iterator over keys, which cannot leave its Lua state" }

function Iterator:__call() return self.next() end

--- An iterator of `next`.
function M.iterator(next) return setmetatable({ next = next }, Iterator) end

--- Checks the arguments and returns the options.
function M.check(pattern, opts)
  if pattern ~= nil then arguments.text("scan", "the pattern", pattern) end
  return arguments.options("scan", opts, { count = arguments.count, type = "string" })
end

-- The next cursor and keys.
local function is_page(reply)
  return type(reply) == "table" and type(reply[1]) == "string" and type(reply[2]) == "table"
end

--- for key in r:scan([pattern [, {count =, type =}]]) do
-- A key that exists throughout the scan comes at least once. Errors are raised.
function M.new(client, pattern, opts)
  opts = M.check(pattern, opts)
  local words = {}
  local function add(word, value)
    if value ~= nil then
      words[#words + 1] = word
      words[#words + 1] = value
    end
  end
  add("MATCH", pattern)
  add("COUNT", opts.count)
  add("TYPE", opts.type)
  local cursor, keys, at = "0", {}, 0
  local is_over = false
  return M.iterator(function()
    while at == #keys do
      if is_over then return nil end
      local reply, err = raw.SCAN(client, cursor, words)
      if not is_page(reply) then error(err or unexpected "SCAN", 0) end
      cursor, keys, at = reply[1], reply[2], 0
      is_over = cursor == "0"
    end
    at = at + 1
    return keys[at]
  end)
end

return M
