--- Tables with a bounded number of entries: when one is full, the entry that was used least recently
-- goes.

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

--- Removes the two values that were used least recently, as far as is_over(value, now) says so: called for each new
-- value, it leaves few of those that nobody needs any more.
function Lru:expire(is_over, now)
  for _ = 1, 2 do
    local node = self.ends.newer
    if node == self.ends or not is_over(node.value, now) then return end
    self:remove(node.key)
  end
end

local M = {}

--- A table for at most `max` entries.
function M.new(max)
  local ends = {}
  ends.newer, ends.older = ends, ends
  return setmetatable({ nodes = {}, count = 0, max = max, ends = ends }, Lru)
end

return M
