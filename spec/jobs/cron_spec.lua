-- Cron expressions and time zones.
local cron = require "moonloop.jobs.cron"
local folders = require "spec.support.folder"
local ml = require "moonloop"
local npm = require "spec.support.npm"
local zones = require "moonloop.jobs.zone"

local function zone(name) return assert(zones.named(name)) end

local function at(text) return assert(ml.time.parse(text)) end

-- The next times as the clocks of the zone show them, with their distance from UTC.
local function next_times(expression, from, count, name)
  local job, place, list, t = cron.parse(expression), zone(name or "UTC"), {}, at(from)
  for i = 1, count or 1 do
    t = job:next(t, place)
    local offset = place:span(t)
    list[i] = ml.time.format(t + offset):sub(1, 16):gsub("T", " ") .. (" %+03d"):format(offset // 3600)
  end
  return table.concat(list, ", ")
end

describe("a cron expression", function()
  it("is due at the next minute that all of its fields name", function()
    for _, case in ipairs {
      { "* * * * *", "2026-11-29T04:05:06Z", "2026-11-29 04:06 +00" },
      { "5 * * * *", "2026-11-29T04:05:00Z", "2026-11-29 05:05 +00" },
      { "5 * * * *", "2026-11-29T04:04:59.5Z", "2026-11-29 04:05 +00" },
      { "0 3 * * *", "2026-11-29T04:05:06Z", "2026-11-30 03:00 +00" },
      { "*/15 9-17 * * mon-fri", "2026-11-29T04:05:06Z", "2026-11-30 09:00 +00" },
      { "*/15 9-17 * * mon-fri", "2026-11-30T17:45:00Z", "2026-12-01 09:00 +00" },
      { "10-40/15 * * * *", "2026-11-29T04:26:00Z", "2026-11-29 04:40 +00" },
      { "5/20 * * * *", "2026-11-29T04:26:00Z", "2026-11-29 04:45 +00" },
      { "1,2,30-32 0 * * *", "2026-11-29T00:31:00Z", "2026-11-29 00:32 +00" },
      { "0 0 1 JAN,Jul *", "2026-11-29T04:05:06Z", "2027-01-01 00:00 +00" },
      { "0 0 29 2 *", "2026-11-29T04:05:06Z", "2028-02-29 00:00 +00" },
      { "0 0 29 2 *", "2096-11-29T04:05:06Z", "2104-02-29 00:00 +00" },
      { "0 0 31 * *", "2026-11-30T04:05:06Z", "2026-12-31 00:00 +00" },
      { "0 0 * * 7", "2026-11-29T04:05:06Z", "2026-12-06 00:00 +00" },
      { "0 0 * * fri-sun", "2026-11-29T04:05:06Z", "2026-12-04 00:00 +00" },
      { " 0\t0 * * 0 ", "2026-11-29T04:05:06Z", "2026-12-06 00:00 +00" },
    } do assert.equal(case[3], next_times(case[1], case[2])) end
  end)

  it("may be one of the short names", function()
    for name, expected in pairs {
      ["@hourly"] = "2026-11-29 05:00 +00", ["@daily"] = "2026-11-30 00:00 +00", ["@midnight"] = "2026-11-30 00:00 +00",
      ["@weekly"] = "2026-12-06 00:00 +00", ["@monthly"] = "2026-12-01 00:00 +00", ["@yearly"] = "2027-01-01 00:00 +00",
      ["@annually"] = "2027-01-01 00:00 +00",
    } do assert.equal(expected, next_times(name, "2026-11-29T04:05:06Z")) end
  end)

  it("is due on either sort of day where both are given, and on both where one begins with *", function()
    assert.equal("2026-11-13 00:00 +00, 2026-11-20 00:00 +00, 2026-11-27 00:00 +00, 2026-12-04 00:00 +00, "
      .. "2026-12-11 00:00 +00, 2026-12-13 00:00 +00", next_times("0 0 13 * fri", "2026-11-12T00:00:00Z", 6))
    assert.equal("2026-11-09 00:00 +00, 2026-11-23 00:00 +00", next_times("0 0 */2 * mon", "2026-11-01T00:00:00Z", 2))
  end)

  it("goes by the clocks of its zone", function()
    assert.equal("2026-11-30 03:00 +01", next_times("0 3 * * *", "2026-11-29T04:05:06Z", 1, "Europe/Berlin"))
    assert.equal("2026-07-01 03:00 +02", next_times("0 3 * * *", "2026-06-30T04:05:06Z", 1, "Europe/Berlin"))
    assert.equal("2026-11-30 00:00 +05", next_times("0 0 * * *", "2026-11-29T00:00:00Z", 1, "Asia/Kolkata"))
    assert.equal("2060-07-01 03:00 +02", next_times("0 3 * * *", "2060-06-30T04:05:06Z", 1, "Europe/Berlin"))
    assert.equal("2060-01-31 03:00 +11", next_times("0 3 * * *", "2060-01-30T04:05:06Z", 1, "Australia/Sydney"))
  end)

  it("with certain hours is due once on the days when clocks are put forward or back", function()
    -- 2026-03-29, 02:00 to 03:00 is skipped; 2026-10-25, 02:00 to 03:00 is there twice
    assert.equal("2026-03-28 02:30 +01, 2026-03-29 03:00 +02, 2026-03-30 02:30 +02",
      next_times("30 2 * * *", "2026-03-27T12:00:00Z", 3, "Europe/Berlin"))
    assert.equal("2026-03-28 02:40 +01, 2026-03-29 03:00 +02, 2026-03-30 02:00 +02",
      next_times("*/20 2 * * *", "2026-03-28T01:20:00Z", 3, "Europe/Berlin"))
    assert.equal("2026-10-24 02:30 +02, 2026-10-25 02:30 +02, 2026-10-26 02:30 +01",
      next_times("30 2 * * *", "2026-10-23T12:00:00Z", 3, "Europe/Berlin"))
  end)

  it("with every hour goes by the time that passes on these days", function()
    assert.equal("2026-03-29 01:30 +01, 2026-03-29 03:30 +02",
      next_times("30 * * * *", "2026-03-29T00:00:00Z", 2, "Europe/Berlin"))
    assert.equal("2026-10-25 01:30 +02, 2026-10-25 02:30 +02, 2026-10-25 02:30 +01, 2026-10-25 03:30 +01",
      next_times("30 * * * *", "2026-10-24T23:00:00Z", 4, "Europe/Berlin"))
  end)

  it("is right where the clocks are put back over midnight, and where a day is missing", function()
    -- St. John's, 2010-11-07 00:01 is 2010-11-06 23:01 once more
    assert.equal("2010-11-06 23:30 -03, 2010-11-07 00:00 -03, 2010-11-07 00:30 -04",
      next_times("0,30 0,23 * * *", "2010-11-07T01:45:00Z", 3, "America/St_Johns"))
    assert.equal("2011-12-29 12:00 -10, 2011-12-31 00:00 +14, 2011-12-31 12:00 +14",
      next_times("0 12 * * *", "2011-12-29T12:00:00Z", 3, "Pacific/Apia"))
  end)

  it("that is wrong raises an error that names the field", function()
    for text, message in pairs {
      [""] = "five fields expected (minute, hour, day of the month, month, day of the week), not 0",
      ["0 0 * * * *"] = "five fields expected (minute, hour, day of the month, month, day of the week), not 6",
      ["60 * * * *"] = "minute: 60 is not in 0-59",
      ["* 24 * * *"] = "hour: 24 is not in 0-23",
      ["* * 0 * *"] = "day of the month: 0 is not in 1-31",
      ["* * * 13 *"] = "month: 13 is not in 1-12",
      ["* * * * 8"] = "day of the week: 8 is not in 0-7",
      ["x * * * *"] = "minute: a number expected, not 'x'",
      ["-1 * * * *"] = "minute: a number expected, not ''",
      ["1.5 * * * *"] = "minute: a number expected, not '1.5'",
      ["* * * janu *"] = "month: a number or a name expected, not 'janu'",
      ["* 22-4 * * *"] = "hour: the range 22-4 goes backwards: write two, with a comma",
      ["* * * * fri-mon"] = "day of the week: the range fri-mon goes backwards: write two, with a comma",
      ["*/0 * * * *"] = "minute: the step must be a number from 1, not '0'",
      ["*/x * * * *"] = "minute: the step must be a number from 1, not 'x'",
      ["*/90 * * * *"] = "minute: the step 90 is longer than the field, which has 60 values",
      ["1,, * * * *"] = "minute: a value is missing in '1,,'",
      ["* * L * *"] = "day of the month: 'L': L, W, # and ? are not known here",
      ["* * * * 5#2"] = "day of the week: '5#2': L, W, # and ? are not known here",
      ["99999999999999999999 * * * *"] = "minute: 99999999999999999999 is not in 0-59",
      ["* * 30 2 *"] = "it is never due: no such month has a day 30",
      ["* * 31 4,6,9,11 *"] = "it is never due: no such month has a day 31",
      ["@reboot"] = "one of @annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly expected",
    } do
      local ok, err = pcall(cron.parse, text)
      assert.is_false(ok)
      assert.equal(("cron expression '%s': %s"):format(text, message), (tostring(err):gsub("^[^:]*:%d+: ", "")))
    end
  end)
end)

-- --- many of them ---

local zone_names = { "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
  "Asia/Kolkata", "Africa/Cairo", "Asia/Tokyo" }
local random = math.random

local function range(least, most)
  local first = random(least, most)
  return ("%d-%d"):format(first, random(first, most))
end

-- Lists do not begin with *, which has a meaning for the whole field.
local function random_field(least, most, longest_step)
  local dice = random(8)
  if dice <= 3 then return "*" end
  if dice == 4 and longest_step then return "*/" .. random(1, longest_step) end
  if dice == 5 then return range(least, most) end
  if dice == 6 then return ("%s/%d"):format(range(least, most), random(1, 5)) end
  if dice == 7 then return ("%d,%s"):format(random(least, most), range(least, most)) end
  return tostring(random(least, most))
end

local function random_expression()
  return table.concat({ random_field(0, 59, 30), random_field(0, 23), random_field(1, 28), random_field(1, 12, 6),
    random_field(0, 6) }, " ")
end

describe("random cron expressions", function()
  -- What is due in a stretch of time, found by looking at every minute of it.
  local function by_minutes(job, place, from, to)
    local wanted, seen, minutes, hours = {}, {}, {}, {}
    for _, minute in ipairs(job.minutes) do minutes[minute] = true end
    for _, hour in ipairs(job.hours) do hours[hour] = true end
    local function matches(wall, hour_is_any)
      if job.any_hour ~= hour_is_any then return false end
      if not minutes[wall // 60 % 60] or not hours[wall // 3600 % 24] then return false end
      local date = os.date("!*t", wall)
      local by_date, by_weekday = job.days[date.day], job.weekdays[date.wday - 1]
      if not job.months[date.month] then return false end
      if job.any_day or job.any_weekday then return by_date and by_weekday end
      return by_date or by_weekday
    end
    local before = from - 60 + place:span(from - 60)
    for t = from, to, 60 do
      local wall = t + place:span(t)
      local is_due = matches(wall, true) or matches(wall, false) and not seen[wall]
      for skipped = before + 60, wall - 60, 60 do
        if matches(skipped, false) then is_due = true end
      end
      seen[wall], before = true, wall
      if is_due then wanted[#wanted + 1] = t end
    end
    return wanted
  end

  it("are due when a look at every minute says so, around changes of the clocks", function()
    local changes = {
      { "Europe/Berlin", "2026-03-29T01:00:00Z" }, { "Europe/Berlin", "2026-10-25T01:00:00Z" },
      { "America/St_Johns", "2010-11-07T02:31:00Z" }, { "Australia/Lord_Howe", "2026-04-04T15:00:00Z" },
      { "Australia/Lord_Howe", "2026-10-03T15:30:00Z" }, { "Africa/Cairo", "2026-04-23T22:00:00Z" },
      { "America/New_York", "2061-03-13T07:00:00Z" }, { "America/New_York", "2061-11-06T06:00:00Z" },
    }
    for i = 1, 48 do
      local change = changes[i % #changes + 1]
      local place, moment, expression = zone(change[1]), at(change[2]), random_expression()
      local job = cron.parse(expression)
      local from, to = moment - 9 * 3600, moment + 9 * 3600
      local wanted, found = by_minutes(job, place, from, to), {}
      local before = from - 1
      for n, due in ipairs(wanted) do
        -- of those that are due each minute, some
        found[n] = n > 50 and n < #wanted - 5 and due or job:next(before, place)
        before = due
      end
      local after = job:next(before, place)
      assert.is_true(not after or after > to)
      assert.same(wanted, found, ("%s in %s"):format(expression, change[1]))
    end
  end)

  npm.block(describe, pending, "and croner, a library of npm,", function()
    it("are due at the same times", function()
      local asked, own = {}, {}
      for i = 1, 300 do
        local one = { text = random_expression(), zone = zone_names[i % #zone_names + 1], count = 8,
          from = random(1577836800, 2051222400) }
        local job, place, t = cron.parse(one.text), zone(one.zone), one.from
        asked[i], own[i] = one, {}
        for n = 1, one.count do
          t = job:next(t, place)
          own[i][n] = t
        end
      end
      local file <close> = folders.file(ml.json.encode(asked))
      local found = ml.json.decode(npm.run("cron.mjs", file.path))
      for i, one in ipairs(asked) do
        assert.same(found[i], own[i], ("%s in %s from %d"):format(one.text, one.zone, one.from))
      end
    end)
  end)
end)

describe("a time zone", function()
  it("is one of the system's, and is cut off nowhere", function()
    local _, why = zones.named "Europe/Nowhere"
    assert.equal("there is no time zone 'Europe/Nowhere' in /usr/share/zoneinfo/ (package tzdata)", why)
    for _, name in ipairs { "", "../etc/passwd", "/etc/passwd", "Europe/", "Europe//Berlin", "a b" } do
      assert.equal(("'%s' is not the name of a time zone, such as Europe/Berlin"):format(name),
        select(2, zones.named(name)))
    end
    assert.is_nil(zones.named "Europe") -- a folder
    local data = folders.read "/usr/share/zoneinfo/Europe/Berlin"
    for n = 0, #data - 40, 7 do
      local place, message = zones.read(data:sub(1, n)) -- never an error; the rule alone may be missing
      assert.is_true(place ~= nil or type(message) == "string")
    end
    assert.equal("it is not a TZif file", select(2, zones.read(("x"):rep(100))))
  end)

  it("ignores the rule of a file that names days which no year has", function()
    local head = ("TZif2" .. ("\0"):rep(15)) .. (">I4I4I4I4I4I4"):pack(0, 0, 0, 0, 1, 4)
    local block = head .. (">i4BB"):pack(3600, 0, 0) .. "EST\0"
    for _, date in ipairs { "J0", "J366", "366", "M13.1.0", "M0.1.0", "M1.6.0", "M1.1.7", "J" .. ("9"):rep(30) } do
      local place = assert(zones.read(("%s%s\nEST5EDT,J60,%s\n"):format(block, block, date)))
      assert.same({ 3600, -math.huge, math.huge }, { place:span(0) }, date)
    end
  end)

  it("has the rule of its file behind the last change that the file lists", function()
    -- Only the rule, without a list, in UTC-5 with summer time from day 60 on (1 March in every year) to day 300.
    local head = ("TZif2" .. ("\0"):rep(15)) .. (">I4I4I4I4I4I4"):pack(0, 0, 0, 0, 1, 4)
    local block = head .. (">i4BB"):pack(-18000, 0, 0) .. "EST\0"
    local place = assert(zones.read(block .. block .. "\n<-05>5<-04>,J60/0,J300/-1:30\n"))
    for _, year in ipairs { 2027, 2028 } do
      local begins = at(year .. "-03-01T05:00:00Z")
      assert.equal(-18000, (place:span(begins - 1)))
      assert.equal(-14400, (place:span(begins)))
      local ends = select(3, place:span(begins))
      assert.equal(year .. "-10-27T02:30:00Z", ml.time.format(ends))
      assert.equal(-18000, (place:span(ends)))
    end
  end)

  it("agrees with date(1)", function()
    local lines = {}
    local pipe = assert(io.popen [[for zone in Europe/Berlin America/New_York Asia/Kolkata Australia/Lord_Howe; do
      for t in 0 500000000 1000000000 1774746000 1792890000 2500000000 3500000000 4102444800; do
        echo "$zone $t $(TZ=$zone date -d @$t '+%z')"
      done
    done]])
    for line in pipe:lines() do lines[#lines + 1] = line end
    pipe:close()
    assert.equal(32, #lines)
    for _, line in ipairs(lines) do
      local name, t, sign, hours, minutes = line:match "^(%S+) (%d+) ([+-])(%d%d)(%d%d)$"
      local offset = (tonumber(hours) * 60 + tonumber(minutes)) * 60 * (sign == "-" and -1 or 1)
      assert.equal(math.tointeger(offset), (zone(name):span(tonumber(t))), line)
    end
  end)
end)
