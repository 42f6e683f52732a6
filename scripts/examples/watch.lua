-- A folder that is watched: the number of words in each of its texts, kept up to date.
--
--     moonloop scripts/examples/watch.lua FOLDER
local ml = require "moonloop"

io.stdout:setvbuf "line"

local folder = ... or "."
local counts = {} -- path -> number of words

local function words(text) return select(2, text:gsub("%S+", "")) end

--- Counts the words in one text again, and prints what is new. The text may be gone.
local function look(path)
  if not path:find "%.txt$" then return end
  local text, err = ml.fs.read(path, 1024 * 1024)
  local count = text and words(text)
  if not text and err.code ~= "ENOENT" then print(err) end
  if counts[path] == count then return end
  counts[path] = count
  print(path, count or "is gone")
end

local function look_at_all()
  for path in pairs(counts) do look(path) end
  for entry in assert(ml.fs.walk(folder)) do look(entry.path) end
end

-- First the watch, so that nothing is missed that happens while the texts are read.
local watch <close> = assert(ml.fs.watch(folder, { recursive = true }))
look_at_all()
print "watching"
for event in watch do
  if event.kind == "overflow" or event.path == folder then
    look_at_all() -- some events are lost, or the folder is another
  else
    if event.from then look(event.from) end
    look(event.path)
  end
end
