--- The jobs: what visitors need not wait for, and what must not be lost. The server, which pushes them, and the
-- workers, which run them, both load this module, so that they know the same names.
local db = require "db"
local ml = require "moonloop"

local jobs = ml.jobs.new(db)

-- A job runs once, unless its process dies at the wrong moment: then again. This one bears it.
jobs:define("count_words", { attempts = 5, timeout = 60 }, function(args)
  local row = assert(db:one("select text from texts where id = $1", args.id))
  local _, words = row.text:gsub("%S+", "")
  assert(db:update("texts", { words = words }, { id = args.id }))
end)

return jobs
