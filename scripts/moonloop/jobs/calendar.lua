--- Days of the Gregorian calendar as numbers: 0 is the first of January 1970.
local M = {}

M.DAY = 86400 -- seconds

-- The year is taken to begin in March, so that a leap day is its last.

--- The number of a day. `month` from 1, `day` from 1.
function M.day_of(year, month, day)
  if month <= 2 then year = year - 1 end
  local era, of_era = year // 400, year % 400
  local of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

--- year, month and day of the month of a number.
function M.date_of(day)
  day = day + 719468
  local era, of_era = day // 146097, day % 146097
  local year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
  local of_year = of_era - (365 * year + year // 4 - year // 100)
  local month = (5 * of_year + 2) // 153
  local of_month = of_year - (153 * month + 2) // 5 + 1
  month = month < 10 and month + 3 or month - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month, of_month
end

--- 0 is Sunday.
function M.weekday_of(day) return (day + 4) % 7 end

return M
