--- What the inspector's page is sent: each second, while a page is open, a line of JSON with what each process has
-- answered. A process that does not answer is asked once, and the line says for how long it has been silent.
local ask = require "moonloop.inspect.ask"
local json = require "moonloop.json"
local ml = require "moonloop"
local usage = require "moonloop.inspect.usage".usage

local M = {}

local PERIOD = 1 -- second
local PATIENCE = 0.2 -- seconds that a line waits for answers
-- In a line, for all processes: bytes of groups; requests that are over, when a page is opened and later.
local ROOM, KEPT, REQUESTS = 28000, 200, 60

function M.new(options)
  return { options = options, streams = {}, opened = ml.event(), slots = {}, processes = { { pid = options.pid } } }
end

--- Finds out which processes there are.
local function look_round(state)
  if state.options.supervisor then
    state.processes = ask.workers(state.options.supervisor) or state.processes
  end
  local slots = {}
  for _, process in ipairs(state.processes) do
    slots[process.pid] = state.slots[process.pid] or { held = 0, done = 0 }
  end
  state.slots = slots
end

function M.is_known(state, pid)
  if not state.slots[pid] then look_round(state) end
  return state.slots[pid] ~= nil
end

--- Asks a process that owes no answer. The task is over when it has answered.
local function question(state, process, slot)
  if slot.asking then return slot.asking end
  slot.asked_at = ml.now()
  slot.asking = ml.spawn(function()
    local n = #state.processes
    local most = (slot.done == 0 and KEPT or REQUESTS) // n
    local text = ask.ask(process.pid, ("s%d %d %d %d"):format(ROOM // n, slot.held, slot.done, most), math.huge)
    slot.asking = nil
    slot.text = text
    local held, done = (text or ""):match '^{"held_over":(%d+),"done_over":(%d+)'
    slot.held, slot.done = math.tointeger(tonumber(held)) or slot.held, math.tointeger(tonumber(done)) or slot.done
    if not text then ml.sleep(PERIOD) end -- it is ending
  end)
  return slot.asking
end

--- What a line says of a process.
local function describe(process, slot)
  local about = usage(process.pid)
  for name, value in pairs(process) do about[name] = value end
  if slot.asking and ml.now() - slot.asked_at >= PATIENCE then about.silent = ml.now() - slot.asked_at end
  local text = json.encode(about)
  if slot.text then text = text:sub(1, -2) .. ',"data":' .. slot.text:gsub("\n$", "") .. "}" end
  slot.text = nil
  return text
end

local function line(state)
  look_round(state)
  local asked = {}
  for _, process in ipairs(state.processes) do
    local slot = state.slots[process.pid]
    if state.is_new then slot.held, slot.done = 0, 0 end -- a page that knows nothing yet
    asked[#asked + 1] = question(state, process, slot)
  end
  state.is_new = false
  ml.timeout(PATIENCE, function()
    for _, task in ipairs(asked) do pcall(task.await, task) end
  end)
  local parts = {}
  for _, process in ipairs(state.processes) do parts[#parts + 1] = describe(process, state.slots[process.pid]) end
  return ('{"at":%.3f,"processes":[%s]}\n'):format(ml.time.now(), table.concat(parts, ","))
end

--- Runs beside the server; does nothing while no page is open.
function M.run(state)
  while true do
    state.opened:wait()
    local begun = ml.now()
    local text = line(state)
    for queue in pairs(state.streams) do queue:try_put(text) end -- a page that is slow misses a line
    ml.sleep(math.max(0.05, PERIOD - (ml.now() - begun)))
    if not next(state.streams) then state.opened:clear() end
  end
end

--- Writes lines to a page until it has gone.
function M.follow(state, out)
  local queue = ml.queue(2)
  local options = state.options
  local _ <close> = setmetatable({}, { __close = function() state.streams[queue] = nil end })
  out:write(('{"hello":%s}\n'):format(json.encode { file = options.file, version = options.version,
    has_workers = options.supervisor ~= nil, routes = json.decode(options.routes) }))
  state.streams[queue], state.is_new = true, true
  state.opened:set()
  for text in queue:items() do out:write(text) end
end

return M
