-- `moonloop test`: busted's own runner inside a task, so that `it` bodies and everything around
-- them may wait. A spec that leaves something behind fails.
--
-- This file hooks into busted in three places:
--   busted.core makes a runner's instance: it is wrapped
--   busted.register is given the function that runs each `it`: the check is put around that function
--   busted.publish and busted.safe_publish are looked up at each call: they are replaced to hold back
--     the end of a test until its after_each blocks have run

local clock = require "moonloop.clock"
local core = require "moonloop.core"
local coverage = require "moonloop.test.coverage"
local inspect = require "moonloop.inspect"
local limits = require "moonloop.test.limits"
local ml = require "moonloop"
local shown = require "moonloop.log.core".shown

local MARK = "\27[31m*\27[0m" -- of luassert, at what differs in tables, on a terminal

local SETTLE_PASSES = 3 -- loop passes after a spec, for what is already ending
local SETTLE_SECONDS = 1 -- for the host's own tasks, the clean-up of cancelled ones, and sockets that are being closed
local CANCEL_SECONDS = 5 -- for the clean-up of tasks that a spec left behind

local MOST_DESCRIBED = 20 -- most tasks listed in the message about what a spec left behind

local OPTIONS = [[
Options of moonloop test:
  --virtual-clock     the clock jumps to the next timer when nothing else is ready (in one spec:
                      require "moonloop.clock".virtual())
  --shuffle[=SEED]    shuffles the specs, as busted does, and the order of the tasks that are ready,
                      from a printed seed; SEED repeats such a run
  --timeout=SECONDS   how long each `it`, and each block around it, may take (60; 0: no limit).
                      A spec can set its own: it("...", {timeout = 5}, function() ... end)
Options of busted:
]]

local shuffle_seed -- or nil

local function port_of(address) return address and address:match(":(%d+)$") end

-- The clients of ml.web.test that are open: client -> the line that made it.
local function test_clients()
  local test = package.loaded["moonloop.web.test"]
  return test and test.open or {}
end

local blamed = {} -- open handles that already made a spec fail: once is enough

-- What is alive now, by identity, and the ports that servers listen on.
local function snapshot()
  local seen, still_open = {ports = {}}, {}
  for _, task in ipairs(inspect.tasks()) do seen[task.id] = true end
  for client in pairs(test_clients()) do
    seen[client] = true
    still_open[client] = blamed[client]
  end
  for _, handle in ipairs(inspect.handles()) do
    seen[handle.key] = true
    still_open[handle.key] = blamed[handle.key]
    if handle.address and not handle.peer then seen.ports[port_of(handle.address)] = true end
  end
  blamed = still_open
  return seen
end

-- Is the handle a connection accepted by a server that existed before?
local function is_servers(handle, seen)
  return handle.peer ~= nil and seen.ports[port_of(handle.address)] == true
end

-- Tasks and handles that are not in `seen`. A task with an ancestor in `seen` does not count: its owner
-- is responsible for it.
local function left_over(seen)
  local tasks, handles, answered = {}, {}, {}
  for _, task in ipairs(inspect.tasks()) do -- parents first
    answered[task.id] = seen[task.id] or answered[task.parent]
    if not answered[task.id] then tasks[#tasks + 1] = task end
  end
  for _, handle in ipairs(inspect.handles()) do
    local known = seen[handle.key] or blamed[handle.key]
    if not known and not is_servers(handle, seen) then handles[#handles + 1] = handle end
  end
  for client, place in pairs(test_clients()) do
    if not seen[client] and not blamed[client] then
      handles[#handles + 1] = {key = client, type = "test client", place = place}
    end
  end
  return tasks, handles
end

-- The same, after everything that is about to end has ended.
local function settle(seen)
  local tasks, handles = left_over(seen)
  for _ = 1, SETTLE_PASSES do
    if #tasks == 0 and #handles == 0 then return tasks, handles end
    ml.sleep(0)
    tasks, handles = left_over(seen)
  end
  if #handles > 0 then collectgarbage() end -- closes unreachable handles
  local limit = ml.now() + SETTLE_SECONDS
  while ml.now() < limit do
    local ending = #handles > 0
    for _, task in ipairs(tasks) do
      if not task.cancelled and not task.is_host then return tasks, handles end
      ending = true
    end
    if not ending then break end
    ml.sleep(0.002)
    tasks, handles = left_over(seen)
  end
  return tasks, handles
end

local function describe_task(task)
  local words = {"task " .. task.id}
  if task.name then words[#words + 1] = "'" .. task.name .. "'" end
  if task.place then words[#words + 1] = "spawned at " .. task.place end
  if task.waiting_for then words[#words + 1] = "waiting for " .. task.waiting_for end
  return table.concat(words, ", ")
end

local function describe_handle(handle)
  if handle.place then return ("%s made at %s (not closed)"):format(handle.type, handle.place) end
  return handle.type .. " handle" .. (handle.address and " on " .. handle.address or "")
    .. (handle.peer and " from " .. handle.peer or "")
end

-- Cancels what a spec left behind, so that the next one starts clean. Returns a description, or nil.
local function clear(seen)
  local tasks, handles = settle(seen)
  if #tasks == 0 and #handles == 0 then return nil end
  local lines, ids = {}, {}
  for i, task in ipairs(tasks) do
    if i <= MOST_DESCRIBED then lines[i] = describe_task(task) end
    ids[task.id] = true
  end
  if #tasks > MOST_DESCRIBED then lines[#lines + 1] = ("%d more tasks"):format(#tasks - MOST_DESCRIBED) end
  inspect.cancel(ids, "left behind by a spec")
  local limit = ml.now() + CANCEL_SECONDS
  while #tasks > 0 and ml.now() < limit do
    ml.sleep(0)
    tasks = left_over(seen)
  end
  for _, handle in ipairs(handles) do
    lines[#lines + 1] = describe_handle(handle)
    blamed[handle.key] = true
  end
  return "left behind: " .. table.concat(lines, "; ")
end

-- Each spec has its own order, derived from its name, so that it repeats when the spec runs alone.
local function reseed(busted, element)
  if not shuffle_seed then return end
  local hash = shuffle_seed
  repeat
    for _, byte in ipairs {tostring(element.name):byte(1, 200)} do hash = hash * 31 + byte end
    element = busted.context.parent(element)
  until not element or element.descriptor ~= "describe"
  clock.shuffle(hash)
end

-- Calls `run`, then undoes its changes to the clock.
local function keep_clock(run, element)
  local was_virtual = clock.is_virtual()
  run(element)
  clock[was_virtual and "virtual" or "real"]()
end

-- Surrounds busted's executor of `it` with the check.
local function guard_it(busted, run)
  return function(element)
    local seen = snapshot()
    local held, failed
    local publish, safe, safe_publish = busted.publish, busted.safe, busted.safe_publish

    local function release(status)
      local call = held
      held = nil
      if call then return safe_publish(call[1], call[2], call[3], call[4], status or call[5]) end
    end

    -- lazy_setup runs inside the first `it` of its block, but what it makes outlives that `it`
    function busted.safe(descriptor, ...)
      local results = table.pack(safe(descriptor, ...))
      if descriptor == "lazy_setup" then seen = snapshot() end
      return table.unpack(results, 1, results.n)
    end

    function busted.publish(channel, ...)
      if channel[1] == "failure" or channel[1] == "error" then
        failed = true
        release() -- an after_each failed: the test itself is over
      end
      return publish(channel, ...)
    end

    function busted.safe_publish(descriptor, channel, from, ...)
      if channel[1] == "test" and channel[2] == "end" then
        held = table.pack(descriptor, channel, from, ...)
        return true
      end
      return safe_publish(descriptor, channel, from, ...)
    end

    reseed(busted, element)
    keep_clock(run, element)
    busted.publish, busted.safe, busted.safe_publish = publish, safe, safe_publish
    local message = clear(seen)
    if message and not failed then
      local trace = element.trace
      local place = trace and trace.short_src and ("%s:%d: "):format(trace.short_src, trace.currentline)
      publish({"failure", "it"}, element, busted.context.parent(element), (place or "") .. message, trace)
      release("failure")
    else
      release()
    end
  end
end

-- Puts the folder of a spec file first on package.path, and before it the folder of its app, which is
-- the parent of the folder `spec`.
local function find_modules_of(file)
  local folder = file:match "^(.*)/[^/]*$" or "."
  local app = file:match "^(.*)/spec/" or file:find "^spec/" and "." or nil
  for _, place in ipairs { folder, app } do
    package.path = ("%s/?.lua;%s/?/init.lua;"):format(place, place) .. package.path
  end
end

local restore_path = { __close = function(before) package.path = before[1] end }

-- The same for a file: its teardown must end what its setup made.
local function guard_file(busted, run)
  return function(element)
    local seen = snapshot()
    local path <close> = setmetatable({ package.path }, restore_path) -- luacheck: ignore path
    find_modules_of(element.name)
    keep_clock(run, element)
    local message = clear(seen)
    if message then
      busted.publish({"error", "file"}, element, busted.context.parent(element),
        element.name .. ": " .. message, {traceback = "", short_src = element.name, currentline = 0})
    end
  end
end

-- The lines of a message without what a terminal obeys: it may have what a server has answered.
local function show_lines(message)
  local escaped = shown(MARK):gsub("%p", "%%%0")
  return (message:gsub("[^\n]+", shown):gsub(escaped, MARK))
end

-- Adds the place where an error was raised at first, if that was in another task or the handler of a
-- request: busted shows only that of the spec.
local function show_messages(busted)
  local rewrite = busted.rewriteMessage
  function busted.rewriteMessage(element, message, trace)
    local origin = core.origin(message)
    local text = rewrite(element, message, trace)
    return show_lines(origin and text .. "\n" .. origin or text)
  end
end

local guards = {it = guard_it, file = guard_file}

local function guarded(make_core)
  return function()
    local busted = make_core()
    limits.guard(busted)
    show_messages(busted)
    local register = busted.register
    function busted.register(descriptor, executor, attributes)
      local guard = guards[descriptor]
      if guard and type(executor) == "function" then executor = guard(busted, executor) end
      register(descriptor, executor, attributes)
      limits.take_options(busted, descriptor)
    end
    return busted
  end
end

-- Takes the options of moonloop out of the global `arg`; those that busted knows too are passed on.
local function take_options()
  local rest, seed, shuffled, timeout = {}, nil, false, nil
  for i, option in ipairs(arg) do
    if option == "--virtual-clock" then
      clock.virtual()
    elseif option == "--timeout" then
      timeout = arg[i + 1] or ""
    elseif option:find("^%-%-timeout=") then
      timeout = option:match("=(.*)$")
    elseif arg[i - 1] == "--timeout" then -- luacheck: ignore
      -- taken
    elseif option == "--shuffle" or option:find("^%-%-shuffle=") then
      seed, shuffled = option:match("=(.*)$") or seed, true
    else
      if option == "--help" or option == "-h" then io.stdout:write(OPTIONS):flush() end
      seed = option:match("^%-%-seed=(.*)$") or arg[i - 1] == "--seed" and option or seed
      rest[#rest + 1] = option
    end
  end
  while #arg > 0 do table.remove(arg) end
  if timeout and not limits.set_default(tonumber(timeout)) then
    io.stderr:write("moonloop test: --timeout: a number of seconds expected, or 0, not '", timeout, "'\n")
    os.exit(2)
  end
  if shuffled then
    shuffle_seed = math.tointeger(tonumber(seed or math.random(1, 2 ^ 31 - 1)))
    if not shuffle_seed then
      io.stderr:write("moonloop test: --shuffle: the seed must be an integer, not '", seed, "'\n")
      os.exit(2)
    end
    io.stderr:write(("moonloop test: shuffled; --shuffle=%d repeats this order\n"):format(shuffle_seed))
    clock.shuffle(shuffle_seed)
    table.insert(rest, 1, "--shuffle")
    table.insert(rest, 2, ("--seed=%d"):format(shuffle_seed))
  end
  table.move(rest, 1, #rest, 1, arg)
end

-- busted unloads the modules that a file loaded, all that pairs(package.loaded) names. moonloop's stay:
-- functions of one that was loaded twice are not those that cross to jobs by their names.
local keep_modules = {
  __pairs = function(loaded)
    return function(_, name)
      local value
      repeat name, value = next(loaded, name) until type(name) ~= "string" or not name:find "^moonloop%f[.\0]"
      return name, value
    end, loaded, nil
  end,
}

--- Runs busted with the arguments in the global `arg`, as the program `busted` would, and ends the
--- process with busted's status.
return function()
  local ok, make_core = pcall(require, "busted.core")
  if not ok then
    if not tostring(make_core):find("busted.core", 1, true) then error(make_core, 0) end
    io.stderr:write("moonloop test: busted is not installed for Lua 5.4: install the package ",
      "lua-busted (on Debian: apt install lua-busted)\n")
    os.exit(1)
  end
  setmetatable(package.loaded, keep_modules)
  package.loaded["busted.core"] = guarded(make_core)
  coverage.extend_to_jobs()
  take_options()
  table.insert(arg, 1, "--ignore-lua") -- a .busted file may name an interpreter; this one is used
  -- busted takes the program's name for its messages from the chunk that calls it
  local runner = load("require 'busted.runner'({standalone = false})", "@moonloop test")
  runner()
  os.exit(0)
end
