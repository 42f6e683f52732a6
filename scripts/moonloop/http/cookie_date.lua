--- Dates of cookies (RFC 6265bis section 5.1.1), which servers write in many ways: the parts are looked for in the
-- text, whatever is between them.

local MONTHS = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10, nov = 11,
  dec = 12 }

-- Everything but delimiters: control characters, digits, ":", letters, and what is not ASCII.
local PIECE = "[\0-\8\10-\31%d:A-Za-z\127-\255]+"

local DAYS_BEFORE = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 }
local DAYS_IN = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_leap(year) return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) end

--- The digits that `piece` begins with, at least `least` and at most `most`, with no digit behind them.
local function digits(piece, least, most)
  local text = piece:match "^%d+"
  return text and #text >= least and #text <= most and tonumber(text) or nil
end

local function time_of(piece)
  local hour, minute, second = piece:match "^(%d%d?):(%d%d?):(%d%d?)%f[^%d]"
  if hour then return { tonumber(hour), tonumber(minute), tonumber(second) } end
end

--- Seconds since 1970; nil if there is no such day.
local function seconds_of(year, month, day, time)
  local in_month = DAYS_IN[month] + (month == 2 and is_leap(year) and 1 or 0)
  if day < 1 or day > in_month or year < 1601 or time[1] > 23 or time[2] > 59 or time[3] > 59 then return nil end
  local before = year - 1
  local days = before * 365 + before // 4 - before // 100 + before // 400 - 719162 + DAYS_BEFORE[month] + day - 1
  if month > 2 and is_leap(year) then days = days + 1 end
  return ((days * 24 + time[1]) * 60 + time[2]) * 60 + time[3]
end

--- The date in `text` in seconds since 1970, or nil if there is none.
return function(text)
  local time, day, month, year
  for piece in text:gmatch(PIECE) do
    local found = not time and time_of(piece)
    if found then
      time = found
    else
      found = not day and digits(piece, 1, 2)
      if found then
        day = found
      elseif not month and MONTHS[piece:sub(1, 3):lower()] then
        month = MONTHS[piece:sub(1, 3):lower()]
      elseif not year then
        year = digits(piece, 2, 4)
      end
    end
  end
  if not (time and day and month and year) then return nil end
  if year <= 69 then year = year + 2000 elseif year <= 99 then year = year + 1900 end
  return seconds_of(year, month, day, time)
end
