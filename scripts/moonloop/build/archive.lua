--- The archive of a program that has an app inside; host/base/archive.c reads it. Numbers are little-endian.
--
--   head     entries (4 bytes), size of the index (4), time (8), place of the name of the app's file (4), 0 (4)
--   entries  sorted by name: places of the name and of the chunk's name (4 each), place and size of the data
--            (8 each), the first 16 bytes of its SHA-256
--   names    each with a zero byte at its end
--   data     aligned to 16 bytes
--
-- Head, entries and names are the index, whose hash the program knows. Places are counted from the start.
local crypto = require "moonloop.crypto"
local unhex = require "moonloop.core.unhex"

local M = {}

local HEAD, ENTRY = "<I4I4i8I4I4", "<I4I4I8I8c16"
local HASH = 16

local function hash(text) return unhex(crypto.sha256(text)):sub(1, HASH) end

local function align(n) return (n + 15) // 16 * 16 end

--- write(entries, main, time) -> archive, the hash of its index. `entries`: a list of {name, data, source}; those
-- with the same `data` share it. `time`: seconds since 1970.
function M.write(entries, main, time)
  table.sort(entries, function(a, b) return a.name < b.name end)
  local names, places, size = {}, {}, string.packsize(HEAD) + #entries * string.packsize(ENTRY)
  local function place(name)
    if not places[name] then
      places[name], size = size, size + #name + 1
      names[#names + 1] = name .. "\0"
    end
    return places[name]
  end
  local main_place = place(main)
  for _, entry in ipairs(entries) do
    entry.name_place, entry.source_place = place(entry.name), place(entry.source or "")
  end
  local index_size = align(size)
  local list, data, at, known = {}, {}, index_size, {}
  for i, entry in ipairs(entries) do
    local there = known[entry.data]
    if not there then
      there = { at = at, hash = hash(entry.data) }
      known[entry.data] = there
      local padded = align(#entry.data)
      data[#data + 1] = entry.data .. ("\0"):rep(padded - #entry.data)
      at = at + padded
    end
    list[i] = ENTRY:pack(entry.name_place, entry.source_place, there.at, #entry.data, there.hash)
  end
  local head = HEAD:pack(#entries, index_size, time, main_place, 0)
  local index = head .. table.concat(list) .. table.concat(names)
  index = index .. ("\0"):rep(index_size - #index)
  return index .. table.concat(data), hash(index)
end

--- read(archive) -> list of {name, data, source, is_whole}, main, time: for the check of what was written.
function M.read(archive)
  local count, _, time, main = HEAD:unpack(archive)
  local entries, at = {}, string.packsize(HEAD) + 1
  for i = 1, count do
    local name, source, place, size, expected
    name, source, place, size, expected, at = ENTRY:unpack(archive, at)
    local data = archive:sub(place + 1, place + size)
    entries[i] = { name = ("z"):unpack(archive, name + 1), source = ("z"):unpack(archive, source + 1), data = data,
      is_whole = hash(data) == expected }
  end
  return entries, ("z"):unpack(archive, main + 1), time
end

M.HASH = HASH

return M
