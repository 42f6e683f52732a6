--- How many jobs wait in the queues of an app, for the inspector's page. It looks only while a page is open, and asks
-- the databases for a twentieth of the time at most: to count a queue of a million jobs takes a while.
local inspect = require "moonloop.inspect"
local json = require "moonloop.json"
local ml = require "moonloop"

local M = {}

local PERIOD = 2 -- seconds, at least
local SHARE = 20 -- part of the time that it may count for
local MOST = 40 -- queues that are shown

--- Adds up the rows of a database: {queue, state, n}.
local function add(list, rows)
  local by = {}
  for _, row in ipairs(rows) do
    local one = by[row.queue]
    if not one then
      one = { name = row.queue, ready = 0, scheduled = 0, running = 0, dead = 0 }
      by[row.queue], list[#list + 1] = one, one
    end
    one[row.state] = one[row.state] + row.n
  end
end

--- The queues in all databases of jobs that can be asked now; tables that are not there yet are not made.
local function count()
  local list, seen = json.array {}, {}
  if not package.loaded["moonloop.jobs"] then return list end
  local tables = require "moonloop.jobs.tables"
  for _, jobs in ipairs(require "moonloop.jobs.made".all()) do
    local rows = not seen[jobs.db] and tables.are_there(jobs.db) and jobs.dialect.counts(jobs.db)
    seen[jobs.db] = true
    if rows then add(list, rows) end
  end
  table.sort(list, function(a, b) return a.ready > b.ready or (a.ready == b.ready and a.name < b.name) end)
  for i = #list, MOST + 1, -1 do list[i] = nil end
  return list
end

--- Runs until its task is cancelled.
function M.run()
  while true do
    inspect.watched()
    local begun = ml.now()
    inspect.set_queues(json.encode(count()))
    ml.sleep(math.max(PERIOD, (ml.now() - begun) * SHARE))
  end
end

return M
