--- Sees to it that what is over goes, whether anything new comes or not. Entries that nobody will ask for any more
-- keep pages of memory, each one its own.
local core = require "moonloop.core"

local SHORTEST = 1 -- seconds between two sweeps
local STEP = 1000 -- entries that are removed while nobody else runs

-- By store: when its next entry is over. A store that nobody else knows needs no sweep.
local due = setmetatable({}, { __mode = "k" })
local next_sweep = math.huge

local M = {}

local function those_due()
  local list, now = {}, core.now()
  for store, at in pairs(due) do
    if at <= now then list[#list + 1] = store end
  end
  return list
end

--- Sweeps one store, and gives others their turn. Returns how many of its entries went.
local function empty(store)
  local gone = 0
  while true do
    local n, seconds = store:sweep(STEP)
    gone = gone + n
    if not seconds or seconds > 0 then
      due[store] = seconds and core.now() + seconds
      return gone
    end
    core.sleep(0)
  end
end

local set_alarm

local function set_next(at)
  if at >= next_sweep then return end
  next_sweep = at
  set_alarm(at - core.now())
end

local swept = setmetatable({}, { __close = function()
  local soonest = math.huge
  for _, at in pairs(due) do soonest = math.min(soonest, at) end
  next_sweep = math.huge
  set_next(math.max(soonest, core.now() + SHORTEST))
end })

set_alarm = core.alarm(function()
  local _ <close> = swept -- also where one of them fails
  next_sweep = -math.huge -- until all are done
  local gone = 0
  for _, store in ipairs(those_due()) do
    due[store] = nil
    gone = gone + empty(store)
  end
  return gone
end)

--- An entry of the store will be over in so many seconds. Then store:sweep(most) is called: it removes entries that are
-- over, `most` at most, and returns how many, and the seconds until the next one is over: none if there is no other, 0
-- if there are more.
function M.watch(store, seconds)
  local at = core.now() + seconds
  if at >= (due[store] or math.huge) then return end
  due[store] = at
  set_next(at)
end

return M
