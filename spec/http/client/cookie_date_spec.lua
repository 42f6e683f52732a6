-- Dates of cookies (RFC 6265bis section 5.1.1), among them those that servers write and RFC 9110 does not allow.
local date = require "moonloop.http.cookie_date"
local ml = require "moonloop"

--- The algorithm of the section once more, character by character, with the date by os.time's counterpart.
local MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"

local function is_delimiter(byte)
  return byte == 0x09 or (byte >= 0x20 and byte <= 0x2f) or (byte >= 0x3b and byte <= 0x40)
    or (byte >= 0x5b and byte <= 0x60) or (byte >= 0x7b and byte <= 0x7e)
end

local function pieces(text)
  local list, piece = {}, ""
  for i = 1, #text + 1 do
    local byte = text:byte(i)
    if byte and not is_delimiter(byte) then
      piece = piece .. string.char(byte)
    elseif piece ~= "" then
      list[#list + 1], piece = piece, ""
    end
  end
  return list
end

--- The number at `at`, of `least` to `most` digits, and where it ends; nil if there are fewer, or more.
local function number_at(text, at, least, most)
  local n, last = 0, at
  while text:sub(last, last):find "%d" do
    n = n * 10 + tonumber(text:sub(last, last))
    last = last + 1
  end
  if last - at < least or last - at > most then return nil end
  return n, last
end

local function time_at(piece)
  local hour, minute, second, at
  hour, at = number_at(piece, 1, 1, 2)
  if not hour or piece:sub(at, at) ~= ":" then return nil end
  minute, at = number_at(piece, at + 1, 1, 2)
  if not minute or piece:sub(at, at) ~= ":" then return nil end
  second = number_at(piece, at + 1, 1, 2)
  return second and { hour, minute, second }
end

local function reference(text)
  local time, day, month, year
  for _, piece in ipairs(pieces(text)) do
    local at = not month and #piece >= 3 and MONTHS:find(piece:sub(1, 3):lower(), 1, true)
    if not time and time_at(piece) then
      time = time_at(piece)
    elseif not day and number_at(piece, 1, 1, 2) then
      day = number_at(piece, 1, 1, 2)
    elseif at and at % 4 == 1 then
      month = (at + 3) // 4
    elseif not year and number_at(piece, 1, 2, 4) then
      year = number_at(piece, 1, 2, 4)
    end
  end
  if not time or not day or not month or not year then return nil end
  if year >= 70 and year <= 99 then year = year + 1900 end
  if year <= 69 then year = year + 2000 end
  if year < 1601 or time[1] > 23 or time[2] > 59 or time[3] > 59 then return nil end
  local written = ("%04d-%02d-%02dT%02d:%02d:%02dZ"):format(year, month, day, table.unpack(time))
  return (ml.time.parse(written))
end

describe("dates of cookies", function()
  it("are read in the ways servers write them", function()
    local same = 784111777 -- Sun, 06 Nov 1994 08:49:37 GMT
    for _, text in ipairs {
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
      "06-Nov-1994 08:49:37", "Sun, 6 November 1994 8:49:37", "1994 nov 6 08:49:37 PST", "08:49:37 6 NOVx 94",
      "  ;Sun , 6/Nov/1994 ,08:49:37", "6th nov 1994 08:49:37 +0100", "6\tNov\t1994\t8:49:37x",
    } do
      assert.equal(same, date(text), text)
    end
    assert.equal(0, date "Thu, 01 Jan 1970 00:00:00 GMT")
    assert.equal(253402300799, date "31 Dec 9999 23:59:59")
    assert.equal(-11644473600, date "1 Jan 1601 00:00:00")
    assert.equal(1709164800, date "29 Feb 2024 00:00:00")
    assert.equal(3155759999, date "31 Dec 69 23:59:59")
    assert.equal(0, date "1 Jan 70 00:00:00")
  end)

  it("are none where a part is missing or cannot be", function()
    for _, text in ipairs {
      "", "x", "Sun, 06 Nov 1994", "06 Nov 08:49:37", "Nov 1994 08:49:37 GMT", "06 1994 08:49:37",
      "06 Nov 1994 24:00:00",
      "06 Nov 1994 08:60:37", "06 Nov 1994 08:49:60", "31 Nov 1994 08:49:37", "00 Nov 1994 08:49:37",
      "29 Feb 2023 00:00:00",
      "06 Nov 1600 08:49:37", "06 Nov 19940 08:49:37", "006 Nov 1994 08:49:37", "06 Nov 1994 08:49",
      "06 No 1994 08:49:37",
      "32 Nov 1994 08:49:37", "06 Nov 1994 008:49:37", "06 Nov 1994 8:49:370",
    } do
      assert.is_nil(date(text), text)
    end
  end)

  it("are what the RFC's algorithm gives, for random texts", function()
    local bits = { "1", "06", "31", "29", "feb", "Feb", "NOV", "nov", "sunday", "94", "1994", "2024", "1601",
      "08:49:37", "23:59:59", "24:00:00", "1:2:3", "1:2:3:4", " ", ",", "-", ":", "x", "\128", "\t",
      "00", "123", "12345", "0", "GMT", "." }
    for _ = 1, 20000 do
      local text = {}
      for i = 1, math.random(0, 12) do text[i] = bits[math.random(#bits)] end
      text = table.concat(text, math.random(2) == 1 and " " or "")
      local wanted = reference(text)
      if wanted ~= date(text) then assert.equal(wanted, date(text), ("%q"):format(text)) end
    end
  end)
end)
