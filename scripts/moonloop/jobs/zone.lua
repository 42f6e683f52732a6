--- Time zones: how far the clocks of a place are ahead of UTC, from the system's database (TZif files, RFC 8536).
local calendar = require "moonloop.jobs.calendar"
local is_between = require "moonloop.core.is_between"

local FOLDER = "/usr/share/zoneinfo/"
local HOUR, DAY = 3600, calendar.DAY

local M = {}

local Zone = {}
Zone.__index = Zone

-- --- the rule for all later years: a text as of the variable TZ in POSIX (RFC 8536, section 3.3) ---

-- "+hh[:mm[:ss]]" in seconds, and the rest of the text.
local function read_time(text)
  local sign, hours, rest = text:match "^([+-]?)(%d+)(.*)$"
  if not sign then return nil, text end
  local seconds = tonumber(hours) * HOUR
  for _, unit in ipairs { 60, 1 } do
    local digits, behind = rest:match "^:(%d+)(.*)$"
    if not digits then break end
    seconds, rest = seconds + tonumber(digits) * unit, behind
  end
  return math.tointeger(sign == "-" and -seconds or seconds), rest
end

local function read_name(text) return text:match "^<[^>]+>(.*)$" or text:match "^%a+(.*)$" end

-- ",M3.5.0/2", ",J60" or ",59": a function from the year to the local second since 1970, and the rest.
local function read_date(text)
  local month, week, weekday, rest = text:match "^,M(%d+)%.(%d+)%.(%d+)(.*)$"
  local julian, of_year
  if not month then
    julian, of_year, rest = text:match "^,(J?)(%d+)(.*)$"
    if not of_year then return nil end
  end
  local time = 2 * HOUR
  if rest:sub(1, 1) == "/" then
    time, rest = read_time(rest:sub(2))
    if not time then return nil end
  end
  month, week, weekday = math.tointeger(month), math.tointeger(week), math.tointeger(weekday)
  local n = math.tointeger(of_year)
  local is_date = is_between(month, 1, 12) and is_between(week, 1, 5) and is_between(weekday, 0, 6)
  if not is_date and not is_between(n, julian == "J" and 1 or 0, 365) then return nil end
  return function(year)
    local day
    if not month then
      if julian ~= "J" then
        day = calendar.day_of(year, 1, 1) + n
      elseif n < 60 then
        day = calendar.day_of(year, 1, n)
      else -- 29 February is not counted
        day = calendar.day_of(year, 3, n - 59)
      end
    else
      local first = calendar.day_of(year, month, 1)
      day = first + (weekday - calendar.weekday_of(first)) % 7 + (week - 1) * 7
      local after = month == 12 and calendar.day_of(year + 1, 1, 1) or calendar.day_of(year, month + 1, 1)
      if day >= after then day = day - 7 end -- week 5 is the last one
    end
    return day * DAY + time
  end, rest
end

-- { standard = offset [, summer = offset, begins = f, ends = f] }, or nil.
local function read_rule(text)
  local rest = read_name(text)
  local behind, offset
  if not rest then return nil end
  offset, behind = read_time(rest)
  if not offset then return nil end
  local rule = { standard = -offset }
  if behind == "" then return rule end
  rest = read_name(behind)
  if not rest then return nil end
  rule.summer = rule.standard + HOUR
  if rest:sub(1, 1) ~= "," then
    offset, rest = read_time(rest)
    if not offset then return nil end
    rule.summer = -offset
  end
  rule.begins, rest = read_date(rest)
  if not rule.begins then return nil end
  rule.ends = read_date(rest)
  return rule.ends and rule
end

-- The changes of one year, in order: { at =, offset = from then on }
local function changes_of(rule, year)
  local begins = { at = rule.begins(year) - rule.standard, offset = rule.summer }
  local ends = { at = rule.ends(year) - rule.summer, offset = rule.standard }
  if begins.at <= ends.at then return begins, ends end
  return ends, begins
end

-- --- the file ---

-- The numbers in the head of a data block: where it begins is `at`.
local function read_head(data, at)
  if data:sub(at, at + 3) ~= "TZif" then return nil end
  local version = data:sub(at + 4, at + 4)
  local utc, standard, leap, times, types, letters = (">I4I4I4I4I4I4"):unpack(data, at + 20)
  return { version = version, utc = utc, standard = standard, leap = leap, times = times, types = types,
    letters = letters, begins = at + 44 }
end

local function length_of(head, width)
  return head.times * (width + 1) + head.types * 6 + head.letters + head.leap * (width + 4) + head.standard + head.utc
end

--- A zone from the text of a TZif file, or nil and what is wrong.
function M.read(data)
  local head = #data >= 44 and read_head(data, 1)
  if not head then return nil, "it is not a TZif file" end
  local width = 4
  if head.version ~= "\0" then -- the same again follows, with 64 bits
    local second = head.begins + length_of(head, 4)
    head = #data >= second + 43 and read_head(data, second)
    width = 8
  end
  if not head or head.types == 0 or #data < head.begins + length_of(head, width) - 1 then
    return nil, "the file is cut off"
  end
  local at, offsets = head.begins, {}
  local types_at = at + head.times * (width + 1)
  for i = 0, head.types - 1 do offsets[i] = (">i4"):unpack(data, types_at + i * 6) end
  local self = setmetatable({ times = {}, offsets = {}, first = offsets[0] }, Zone)
  for i = 1, head.times do
    self.times[i] = ((width == 8 and ">i8" or ">i4"):unpack(data, at + (i - 1) * width))
    local kind = data:byte(at + head.times * width + i - 1)
    if not offsets[kind] then return nil, "the file is damaged" end
    self.offsets[i] = offsets[kind]
  end
  if width == 8 then
    local footer = data:sub(head.begins + length_of(head, 8)):match "^\n([^\n]*)\n"
    if footer and footer ~= "" then self.rule = read_rule(footer) end
  end
  return self
end

-- --- asking ---

-- The last index whose time is not after t, or 0.
local function find(times, t)
  local low, high = 0, #times
  while low < high do
    local middle = (low + high + 1) // 2
    if times[middle] <= t then low = middle else high = middle - 1 end
  end
  return low
end

-- Behind the last time of the table.
local function span_by_rule(self, t, since)
  local rule = self.rule
  if not rule then return self.offsets[#self.offsets] or self.first, since, math.huge end
  if not rule.summer then return rule.standard, since, math.huge end
  local year = calendar.date_of((t + rule.standard) // DAY)
  local offset, begins = nil, since
  for y = year - 1, year + 1 do
    for _, change in ipairs { changes_of(rule, y) } do
      if change.at > t and change.at > since then
        if not offset then offset = change.offset == rule.summer and rule.standard or rule.summer end
        return offset, begins, change.at
      end
      offset, begins = change.offset, math.max(change.at, since)
    end
  end
  return offset, begins, math.huge
end

--- How far the clocks are ahead of UTC at the moment `t` (Unix seconds), in seconds; since when, and until when:
-- at that moment they change. -math.huge and math.huge where there is no change.
function Zone:span(t)
  t = t // 1
  local i, n = find(self.times, t), #self.times
  if i == n then return span_by_rule(self, t, n > 0 and self.times[n] or -math.huge) end
  return i == 0 and self.first or self.offsets[i], i == 0 and -math.huge or self.times[i], self.times[i + 1]
end

-- --- names ---

local known = { UTC = setmetatable({ times = {}, offsets = {}, first = 0 }, Zone) }

--- The zone of an IANA name such as "Europe/Berlin", or nil and what is wrong with the name.
function M.named(name)
  if known[name] then return known[name] end
  local is_name = name:find "^[%a][%w_+%-/]*$" and not name:find "//" and not name:find "/$"
  if not is_name then return nil, ("'%s' is not the name of a time zone, such as Europe/Berlin"):format(name) end
  local file = io.open(FOLDER .. name, "rb")
  local data = file and file:read "a" -- of a folder: nil
  if file then file:close() end
  if not data then return nil, ("there is no time zone '%s' in %s (package tzdata)"):format(name, FOLDER) end
  local zone, why = M.read(data)
  if not zone then return nil, ("time zone '%s': %s"):format(name, why) end
  known[name] = zone
  return zone
end

return M
