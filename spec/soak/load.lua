-- Asks a server of spec/soak/app.lua: moonloop spec/soak/load.lua PORT SECONDS [strict|lenient [SKIP]]
--
-- Many tasks send requests of every kind for so many seconds. A request may fail, but what is answered
-- with 200 has to be right. `strict`: none may fail. Prints the counts; the exit status is 1 when a
-- request has got a wrong answer, or has failed where none may. SKIP: a pattern of paths to leave out.
local ml = require "moonloop"
local soak = require "spec.soak.requests"

local port, seconds, strict, skip = arg[1], tonumber(arg[2]), arg[3] == "strict", arg[4]
local base = "http://127.0.0.1:" .. port
local TASKS = 32

local requests = soak.list(port)
if skip then
  for i = #requests, 1, -1 do
    if requests[i][2]:find(skip) then table.remove(requests, i) end
  end
end

local counts = { right = 0, failed = 0, refused = 0, wrong = 0 }
local shown = {}

local function note(kind, request, what)
  counts[kind] = counts[kind] + 1
  if kind == "right" or (kind ~= "wrong" and not strict) then return end
  local line = ("%s: %s: %s"):format(kind, request[2], tostring(what):sub(1, 200))
  if not shown[line] then
    shown[line] = true
    print(line)
  end
end

local stop = ml.now() + seconds
local client = ml.http.client { base_url = base, timeout = 10, max_connections = TASKS }
local tasks = {}
for i = 1, TASKS do
  tasks[i] = function()
    local turn = i
    repeat
      local request = requests[turn % #requests + 1]
      local ok, kind, what = pcall(soak.ask, client, request) -- this process may lack memory, too
      pcall(note, ok and kind or "failed", request, ok and what or kind)
      turn = turn + 1
    until ml.now() >= stop
  end
end
ml.gather(tasks)
print(("%d right, %d refused, %d failed, %d wrong"):format(counts.right, counts.refused, counts.failed, counts.wrong))
os.exit(counts.wrong == 0 and (not strict or counts.refused + counts.failed == 0))
