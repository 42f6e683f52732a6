--- Tables with a bounded number of entries: when one is full, the entry that was used least recently goes. Entries
-- whose time is over go by themselves.
local sweeper = require "moonloop.core.sweeper"

local Lru = {}
Lru.__index = Lru

local function unlink(node)
  node.newer.older, node.older.newer = node.older, node.newer
end

--- Puts the node in front. The ends of the list meet in `lru.ends`.
local function link(ends, node)
  node.newer, node.older = ends, ends.older
  ends.older.newer = node
  ends.older = node
end

--- lru:get(key) -> value | nil. It counts as used.
function Lru:get(key)
  local node = self.nodes[key]
  if not node then return nil end
  unlink(node)
  link(self.ends, node)
  return node.value
end

--- lru:set(key, value) -> the value that had to go for a new key | nil.
function Lru:set(key, value)
  local node, gone = self.nodes[key], nil
  if node then
    unlink(node)
  else
    if self.count >= self.max then
      gone = self.ends.newer.value
      self:remove(self.ends.newer.key)
    end
    node = { key = key }
    self.nodes[key] = node
    self.count = self.count + 1
    if self.count == 1 and self.over_at then sweeper.watch(self, self.over_at(value) - self.clock()) end
  end
  node.value = value
  link(self.ends, node)
  return gone
end

--- lru:remove(key) -> whether it was there.
function Lru:remove(key)
  local node = self.nodes[key]
  if not node then return false end
  unlink(node)
  self.nodes[key] = nil
  self.count = self.count - 1
  return true
end

--- lru:oldest() -> the value that was used least recently | nil.
function Lru:oldest() return self.ends.newer.value end

--- For the sweeper (sweeper.lua). The entry that was used least recently is looked at: it may keep one that is over
-- already and was used after it, but for no longer than its own time.
function Lru:sweep(most)
  local now = self.clock()
  for n = 0, most do
    local node = self.ends.newer
    if node == self.ends then
      self.nodes = {} -- the old one stays as large as it once was
      return n, nil
    end
    local seconds = self.over_at(node.value) - now
    if seconds > 0 or n == most then return n, math.max(seconds, 0) end
    self:remove(node.key)
  end
end

local M = {}

--- A table for at most `max` entries. `over_at`(value): the time, as clock() has it, from which on nobody asks for the
-- entry. Without it none goes by itself.
function M.new(max, over_at, clock)
  local ends = {}
  ends.newer, ends.older = ends, ends
  return setmetatable({ nodes = {}, count = 0, max = max, ends = ends, over_at = over_at, clock = clock }, Lru)
end

return M
