--- What the inspector asks processes: a question each, over the socket of `moonloop ps`.
local inspect = require "moonloop.inspect"
local ml = require "moonloop"

local M = {}

local MOST = 64 * 1024 * 1024 -- bytes of an answer: who gives it may have been taken over

local function read_all(stream)
  local parts, n = {}, 0
  while n <= MOST do
    local piece, err = stream:read_some()
    if err then return nil, err end
    if not piece then return table.concat(parts) end
    n = n + #piece
    parts[#parts + 1] = piece
  end
  return nil, "the process does not come to the end of its answer"
end

--- What the process answers within so many seconds, or nil, err.
local function exchange(pid, question, seconds)
  return ml.timeout(seconds, function()
    local stream <close>, err = inspect.connect(pid)
    if not stream then return nil, err end
    local ok
    ok, err = stream:write(question)
    if not ok then return nil, err end
    return read_all(stream)
  end)
end

--- ask(pid, question, seconds) -> text | nil, err. A loop that computes answers between two instructions; one
-- that is in a C function does not answer until that returns.
function M.ask(pid, question, seconds)
  local answer, err = exchange(pid, "q" .. question .. "\n", seconds)
  if answer == "" then return nil, "the process did not answer" end
  return answer, err
end

local WORKER = "worker (%d+), pid (%d+): (%a+), generation (%d+), up ([%d.]+) s, (%d+) restarts, "
  .. "(%d+) connections, (%d+) requests"

--- The serving workers of a supervisor: a list of {pid, worker, state, generation, uptime, restarts, connections,
-- requests}; or nil, err.
function M.workers(supervisor)
  local text, err = exchange(supervisor, "t", 2)
  if not text then return nil, err end
  local list = {}
  for worker, pid, state, generation, uptime, restarts, connections, requests in text:gmatch(WORKER) do
    list[#list + 1] = { worker = tonumber(worker), pid = tonumber(pid), state = state,
      generation = tonumber(generation), uptime = tonumber(uptime), restarts = tonumber(restarts),
      connections = tonumber(connections), requests = tonumber(requests) }
  end
  return list
end

return M
