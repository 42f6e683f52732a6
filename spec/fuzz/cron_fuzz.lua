-- Cron expressions: what is refused is refused by a message that names it; what is taken is due later, at a minute
-- that the fields have, and at none before.
local calendar = require "moonloop.jobs.calendar"
local cron = require "moonloop.jobs.cron"

local SINCE = { 0, 1709164800, 4102444800 } -- 1970; the eve of 29 February 2024; 2100, which has none

local function has(list, value)
  for _, v in ipairs(list) do if v == value then return true end end
  return false
end

return function(text)
  local ok, schedule = pcall(cron.parse, text)
  if not ok then return assert(tostring(schedule):find("cron expression", 1, true), schedule) end
  for _, since in ipairs(SINCE) do
    local at = schedule:next(since)
    if at then
      assert(math.type(at) == "integer" and at > since and at % 60 == 0)
      local of_day = at % calendar.DAY
      assert(has(schedule.hours, of_day // 3600) and has(schedule.minutes, of_day % 3600 // 60))
      assert(schedule:next(at - 1) == at)
      local _, month = calendar.date_of(at // calendar.DAY)
      assert(schedule.months[month])
    end
  end
end
