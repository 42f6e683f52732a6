--- Cron expressions: five fields, and when they are due next in a time zone.
local calendar = require "moonloop.jobs.calendar"
local core = require "moonloop.core"
local sorted_keys = require "moonloop.core.sorted_keys"
local zones = require "moonloop.jobs.zone"

local DAY = calendar.DAY
local YEARS = 100 -- that are searched: a 29 February on one weekday, around a year such as 2100

local M = {}

local months = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10, nov = 11,
  dec = 12 }
local days = { sun = 0, mon = 1, tue = 2, wed = 3, thu = 4, fri = 5, sat = 6 }

local fields = {
  { name = "minute", least = 0, most = 59 },
  { name = "hour", least = 0, most = 23 },
  { name = "day of the month", least = 1, most = 31 },
  { name = "month", least = 1, most = 12, names = months },
  { name = "day of the week", least = 0, most = 7, names = days }, -- 7 is Sunday, too
}

local short = {
  ["@yearly"] = "0 0 1 1 *", ["@annually"] = "0 0 1 1 *", ["@monthly"] = "0 0 1 * *", ["@weekly"] = "0 0 * * 0",
  ["@daily"] = "0 0 * * *", ["@midnight"] = "0 0 * * *", ["@hourly"] = "0 * * * *",
}

-- --- reading ---

local Reading = {}
Reading.__index = Reading

function Reading:fail(message, ...)
  core.fail(("cron expression '%s': %s"):format(self.text, message:format(...)))
end

function Reading:fail_in(field, message, ...)
  self:fail("%s: " .. message, field.name, ...)
end

-- A number or a name. `is_end`: of a range, where Sunday is 7.
local function read_value(reading, field, text, is_end)
  local value = field.names and field.names[text:lower()]
  if value then return is_end and value == 0 and field.names == days and 7 or value end
  if not text:find "^%d+$" then
    if text:find "[LW#?]" and not text:find "^%a%a%a+$" then
      reading:fail_in(field, "'%s': L, W, # and ? are not known here", text)
    end
    reading:fail_in(field, "%s expected, not '%s'", field.names and "a number or a name" or "a number", text)
  end
  value = math.tointeger(tonumber(text))
  if not value or value < field.least or value > field.most then
    reading:fail_in(field, "%s is not in %d-%d", text, field.least, field.most)
  end
  return value
end

-- One item of a list: "*", "5", "1-5", each with "/step" behind it. Adds to `set`.
local function read_item(reading, field, text, set)
  local range, step = text:match "^([^/]*)/(.*)$"
  range = range or text
  local first, last = field.least, field.most
  if field.names == days then last = 6 end
  local width = last - first + 1
  if range ~= "*" then
    local from, to = range:match "^([^-]*)%-(.*)$"
    first = read_value(reading, field, from or range)
    if to then
      last = read_value(reading, field, to, first > 0)
      if last < first then
        reading:fail_in(field, "the range %s goes backwards: write two, with a comma", range)
      end
    elseif not step then
      last = first
    end
  end
  if step then
    local n = step:find "^%d+$" and math.tointeger(tonumber(step))
    if not n or n < 1 then reading:fail_in(field, "the step must be a number from 1, not '%s'", step) end
    if n >= width and n > 1 then
      reading:fail_in(field, "the step %d is longer than the field, which has %d values", n, width)
    end
    step = n
  end
  for value = first, last, step or 1 do
    set[field.names == days and value % 7 or value] = true
  end
end

local function read_field(reading, field, text)
  local set = {}
  for item in (text .. ","):gmatch "([^,]*)," do
    if item == "" then reading:fail_in(field, "a value is missing in '%s'", text) end
    read_item(reading, field, item, set)
  end
  return set, text:sub(1, 1) == "*"
end

local longest = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Raises where no month has such a day.
local function check_days(reading, self)
  if not self.any_weekday and not self.any_day then return end -- the days of the week are due anyway
  local first = sorted_keys(self.days)[1]
  for month in pairs(self.months) do
    if first <= longest[month] then return end
  end
  reading:fail("it is never due: no such month has a day %d", first)
end

local Cron = {}
Cron.__index = Cron

--- Reads an expression; raises what is wrong with it, naming the field.
-- The days: where both day of the month and day of the week are given, either is enough, as for cron(8). A field
-- that begins with * is not given.
function M.parse(text)
  local reading = setmetatable({ text = text }, Reading)
  local line = text:match "^%s*(.-)%s*$"
  if line:sub(1, 1) == "@" then
    line = short[line:lower()] or reading:fail("one of %s expected", table.concat(sorted_keys(short), ", "))
  end
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  if #words ~= #fields then
    reading:fail("five fields expected (minute, hour, day of the month, month, day of the week), not %d", #words)
  end
  local self = setmetatable({}, Cron)
  local sets, stars = {}, {}
  for i, field in ipairs(fields) do sets[i], stars[i] = read_field(reading, field, words[i]) end
  self.minutes, self.hours = sorted_keys(sets[1]), sorted_keys(sets[2])
  self.days, self.months, self.weekdays = sets[3], sets[4], sets[5]
  self.any_hour, self.any_day, self.any_weekday = stars[2], stars[3], stars[5]
  check_days(reading, self)
  return self
end

-- --- the next time ---

local function has_day(self, day)
  local _, month, of_month = calendar.date_of(day)
  if not self.months[month] then return false end
  local by_date, by_weekday = self.days[of_month], self.weekdays[calendar.weekday_of(day)]
  if self.any_day or self.any_weekday then return by_date and by_weekday end
  return by_date or by_weekday
end

-- The first time of a day after `t` where the clocks do not change: the day begins at `begins`.
local function first_after(self, begins, t)
  for _, hour in ipairs(self.hours) do
    local at = begins + hour * 3600
    if at + 3599 > t then
      for _, minute in ipairs(self.minutes) do
        if at + minute * 60 > t then return at + minute * 60 end
      end
    end
  end
end

-- The moments at which the clocks show `wall` (seconds since 1970 as they show them), in order; or the moment
-- of the change where they skip it, and true.
local function moments(wall, spans)
  local list = {}
  for _, span in ipairs(spans) do
    local at = wall - span.offset
    if at >= span.begins and at < span.ends then list[#list + 1] = at end
  end
  if #list > 0 then return list end
  for i = 1, #spans - 1 do
    if wall - spans[i].offset >= spans[i].ends and wall - spans[i + 1].offset < spans[i + 1].begins then
      return { spans[i].ends }, true
    end
  end
  return list
end

-- The same for a day on which they do. What is due at certain hours is due once: of an hour that is there twice
-- the first time; of one that is skipped, at the change. What is due every hour goes by the time that passes.
local function first_after_of_changed(self, day, t, spans)
  local first
  for _, hour in ipairs(self.hours) do
    for _, minute in ipairs(self.minutes) do
      local list, is_skipped = moments(day * DAY + hour * 3600 + minute * 60, spans)
      for i, at in ipairs(list) do
        local counts = self.any_hour and not is_skipped or not self.any_hour and i == 1
        if counts and at > t and (not first or at < first) then first = at end
      end
    end
  end
  return first
end

-- The spans of one offset that touch the day, a day before and after it included.
local function spans_of(zone, day)
  local spans, t = {}, (day - 1) * DAY
  repeat
    local offset, begins, ends = zone:span(t)
    spans[#spans + 1] = { offset = offset, begins = begins, ends = ends }
    t = ends
  until t >= (day + 2) * DAY
  return spans
end

-- The first time of the day after `t`, or nil; true if the clocks change on that day or beside it.
local function of_day(self, zone, day, t)
  local offset, begins, ends = zone:span(day * DAY)
  if begins <= (day - 1) * DAY and ends >= (day + 2) * DAY then
    return has_day(self, day) and first_after(self, day * DAY - offset, t), false
  end
  return has_day(self, day) and first_after_of_changed(self, day, t, spans_of(zone, day)), true
end

--- The first time after `t` (Unix seconds) in a zone of zone.lua (nil: UTC), in Unix seconds. nil where there is
-- none in a hundred years.
function Cron:next(t, zone)
  zone = zone or zones.named "UTC"
  t = math.floor(t)
  local today = (t + zone:span(t)) // DAY
  local day = today - 1
  while day < today + 366 * YEARS do
    local year, month = calendar.date_of(day)
    while not self.months[month] do
      month = month + 1
      if month > 12 then year, month = year + 1, 1 end
      day = calendar.day_of(year, month, 1)
    end
    local at, changes = of_day(self, zone, day, t)
    if at then
      -- Clocks that are put back over midnight show the end of a day after the start of the next.
      local other = changes and of_day(self, zone, day + 1, t)
      return other and math.min(at, other) or at
    end
    day = day + 1
  end
end

return M
