-- Random operations against a model: moonloop spec/soak/soak.lua [OPERATIONS] [SEED]
--
-- Rounds of tasks run random programs of spawn, await, cancel, group, gather, race, timeout, deadline,
-- shield, queue, semaphore, lock, event, future, generator and executor operations, on the virtual
-- clock, ready tasks in random order. After each operation and each round the books are checked:
--   * a value that was put is got once, or is still in its queue, or its put has failed
--   * no more holders than permits; all permits are free in the end
--   * a task ends once, with what its body ended with; all awaiters see just that
--   * a body that began is cleaned up once; one that did not begin was cancelled
--   * after a group's block its children have ended; it raises what failed, all of it, nothing else
--   * a limit expires neither early nor after its block; a shield's body is not broken off
--   * a program without cancels and shared objects gives the value computed by plain Lua
--   * no task is left at the end of a round
-- The seed is printed; the same seed gives the same programs (jobs on other threads end when they do).
local clock = require "moonloop.clock"
local core = require "moonloop.core"
local inspect = require "moonloop.inspect"
local ml = require "moonloop"

local soak = {}

local random = math.random
local catch, is_own_cancel = ml.catch, core.is_own_cancel

local operations, violations -- of this run
local round -- this round's objects and books

local function violation(...)
  violations[#violations + 1] = ("round %d: "):format(round.number) .. string.format(...)
end

local function check(ok, ...)
  if not ok then violation(...) end
  return ok
end

local function pick(list) return list[random(#list)] end
local function chance(percent) return random(100) <= percent end
local function short_time() return random(0, 20) / 1000 end

local TIMED_OUT = "its time was over" -- the reason of a limit's cancel

local function is_ended(task)
  local status = task:status()
  return status == "done" or status == "failed" or status == "cancelled"
end

-- --- tasks: a record for each ---

local run_program

--- Wraps a program as a body that keeps `record`.
local function body_of(record, program)
  return function(...)
    check(not record.began, "a body ran twice")
    record.began = true
    check(round.var:get() == record.var, "a child did not inherit a variable")
    local _ <close> = setmetatable({}, { __close = function() record.cleanups = record.cleanups + 1 end })
    local result = table.pack(catch(program, record, ...))
    record.ended_with, record.own_cancel = result, not result[1] and is_own_cancel(result[2])
    if not result[1] then error(result[2], 0) end
    return table.unpack(result, 2, result.n)
  end
end

local function new_record(depth, parent)
  local record = { depth = depth, cleanups = 0, var = parent and parent.var or nil,
    limits = 0, may_time_out = parent and (parent.may_time_out or parent.limits > 0) or false }
  round.records[#round.records + 1] = record
  return record
end

--- What `task:await()` gave against what its body ended with.
local function check_outcome(record, ok, value)
  local with = record.ended_with
  if not record.began then
    check(not ok and type(value) == "table" and value.kind == "cancelled",
      "a task whose body never ran ended with %s", tostring(value))
    return
  end
  if not check(with, "an awaiter went on before the body was over") then return end
  check(with[1] == ok and rawequal(with[2], value), "an awaiter saw %s, the body ended with %s",
    tostring(value), tostring(with[2]))
  check(record.cleanups == 1, "an awaiter went on after %d cleanups", record.cleanups)
end

--- After an operation that raised `err`: lets the own cancel through, as pcall does.
local function raised(record, err)
  if is_own_cancel(err) then error(err, 0) end
  if type(err) == "table" and err.reason == TIMED_OUT and not err.foreign then
    check(record.limits > 0 or record.may_time_out, "a limit expired after its block")
  end
end

-- --- operations: each may raise the own cancel, and nothing else ---

local ops = {}

function ops.sleep(record)
  local time, start = short_time(), ml.now()
  local ok, err = catch(ml.sleep, time)
  if not ok then
    check(is_own_cancel(err) or err.kind == "timeout", "a sleep raised %s", tostring(err))
    return raised(record, err)
  end
  check(ml.now() >= start + time - 1e-9, "a sleep ended early")
end

function ops.yield(record)
  local ok, err = catch(ml.sleep, 0)
  if not ok then raised(record, err) end
end

local function spawn(record, spawner, ...)
  local child = new_record(record.depth + 1, record)
  child.task = spawner(body_of(child, run_program), ...)
  round.live[#round.live + 1] = child
  return child
end

function ops.spawn(record) spawn(record, ml.spawn) end

local function await(record, child)
  local results = table.pack(catch(child.task.await, child.task))
  if not results[1] and is_own_cancel(results[2]) and not is_ended(child.task) then error(results[2], 0) end
  if not is_ended(child.task) then -- a deadline's error, which pcall may catch
    check(not results[1], "await gave a value of a live task")
    return raised(record, results[2])
  end
  if not results[1] and is_own_cancel(results[2]) then error(results[2], 0) end
  if not results[1] and type(results[2]) == "table" and results[2].kind == "timeout"
    and not rawequal(child.ended_with and child.ended_with[2], results[2]) then return end
  check_outcome(child, results[1], results[2])
end

function ops.spawn_await(record) await(record, spawn(record, ml.spawn)) end

function ops.await(record)
  local child = round.live[random(math.max(#round.live, 1))]
  -- only younger ones: no circles
  if not child or child.depth <= record.depth or not child.task then return end
  await(record, child)
end

function ops.cancel()
  local child = round.live[random(math.max(#round.live, 1))]
  if not child or not child.task or child.safe then return end
  local ended = is_ended(child.task)
  check(child.task:cancel("soak") == not ended, "cancel() of %s said otherwise", child.task:status())
end

function ops.fail(record)
  if chance(70) then return end
  local err = { message = "of " .. tostring(record) }
  record.failing = true
  error(err, 0)
end

--- A cancel that is stopped by ml.catch comes back at the next wait.
function ops.catch(record)
  local ok, err = catch(ops.sleep, record)
  if ok or not is_own_cancel(err) then return end
  local again, second = catch(ml.sleep, 0)
  check(not again, "a wait after a caught cancel did not raise")
  error(again and err or second, 0)
end

local function sub_program(record, ...) return run_program(record, ...) end

--- The group's errors: what its failed children and its body raised.
function ops.group(record)
  if record.depth > 3 then return end
  local children, body = {}, nil
  local before = record.limits
  local function run(g)
    for _ = 1, random(0, 3) do
      children[#children + 1] = spawn(record, function(...) return g:spawn(...) end)
    end
    if chance(20) then g:cancel("soak") end
    body = table.pack(catch(sub_program, record, random(0, 2)))
    if not body[1] then error(body[2], 0) end
    if chance(20) then
      local ok, child = catch(spawn, record, function(...) return g:spawn(...) end)
      if ok then children[#children + 1] = child else round.records[#round.records] = nil end
    end
    return "the body's result"
  end
  local stopped
  local ok, err
  if chance(50) then
    ok, err = catch(ml.group, run)
    stopped = ok and err == nil
  else
    ok, err = catch(function()
      local g <close> = ml.group()
      return run(g)
    end)
  end
  record.limits = before
  local failures = {}
  for _, child in ipairs(children) do
    check(is_ended(child.task), "a group's child outlived its block")
    if child.task:status() == "failed" then failures[child.ended_with[2]] = true end
  end
  local count = 0
  for _ in pairs(failures) do count = count + 1 end
  if ok then
    check(count == 0, "a group of which %d failed raised nothing", count)
    check(stopped or err == "the body's result", "a group lost its body's result")
    return
  end
  if count > 0 and type(err) == "table" and err.kind == "group" and not failures[err] then
    local listed = {}
    for _, e in ipairs(err.errors) do listed[e] = true end
    for e in pairs(failures) do check(listed[e], "a group error lacks %s", tostring(e)) end
    for e in pairs(listed) do
      check(failures[e] or (body and rawequal(body[2], e)), "a group error holds a stranger")
    end
  elseif count > 0 then
    check(failures[err], "a group of which %d failed raised %s", count, tostring(err))
  end
  raised(record, err)
end

local function items(record, owned)
  local list, children = {}, {}
  for i = 1, random(1, 3) do
    local child = new_record(record.depth + 1, record)
    children[i] = child
    local body = body_of(child, run_program)
    list[i] = function(...)
      child.task = ml.current()
      round.live[#round.live + 1] = child
      return body(...)
    end
    owned[i] = child
  end
  return list, children
end

--- None of the children that a combinator started may live when it is over.
local function check_over(children, what)
  for _, child in ipairs(children) do
    if child.task then check(is_ended(child.task), "%s left a child alive", what) end
  end
end

function ops.gather(record)
  if record.depth > 3 then return end
  local list, children = items(record, {})
  local ok, results = catch(ml.gather, list)
  check_over(children, "gather")
  if ok then
    for i, child in ipairs(children) do
      check(child.ended_with and child.ended_with[1] and rawequal(child.ended_with[2], results[i]),
        "gather gave another result than its item")
    end
    return
  end
  raised(record, results)
end

function ops.gather_errors(record)
  if record.depth > 3 then return end
  local list, children = items(record, {})
  local ok, results = catch(ml.gather, list, { return_errors = true })
  check_over(children, "gather")
  if not ok then return raised(record, results) end
  for i, child in ipairs(children) do
    local with = child.ended_with
    if with and with[1] then
      check(rawequal(with[2], results[i]), "gather lost a value")
    elseif with then
      check(ml.is_error(results[i]) and (rawequal(results[i], with[2]) or rawequal(results[i].value, with[2])),
        "gather lost an error")
    end
  end
end

function ops.race(record)
  if record.depth > 3 then return end
  local list, children = items(record, {})
  local ok, value = catch(chance(50) and ml.race or ml.any, list)
  check_over(children, "race")
  if not ok then return raised(record, value) end
  local found = false
  for _, child in ipairs(children) do
    local with = child.ended_with
    if with and with[1] and rawequal(with[2], value) then found = true end
  end
  check(found, "race gave what none of its items returned")
end

function ops.wait(record)
  local tasks, by_task = {}, {}
  for _ = 1, random(1, 3) do
    local child = round.live[random(math.max(#round.live, 1))]
    if child and child.task and child.depth > record.depth and not by_task[child.task] then
      tasks[#tasks + 1], by_task[child.task] = child.task, child
    end
  end
  if chance(50) then
    local ok, done, pending = catch(ml.wait, tasks, { mode = pick { "first", "error", "all" }, timeout = short_time() })
    if not ok then return raised(record, done) end
    check(#done + #pending == #tasks, "wait lost a task")
    for _, task in ipairs(done) do check(is_ended(task), "wait called a live task done") end
    return
  end
  local seen = {}
  local next_task, count = ml.as_completed(tasks), 0
  local function consume()
    for task in next_task do
      check(by_task[task] and not seen[task], "as_completed gave a task twice")
      check(is_ended(task), "as_completed gave a live task")
      seen[task] = true
      count = count + 1
      if chance(50) then ml.sleep(0) end
    end
    return true
  end
  local ok, err
  if chance(50) then
    ok, err = catch(ml.timeout, 0.05, consume)
  else
    ok, err = catch(ml.timeout, 0.05, ml.gather, consume, consume)
  end
  if not ok then return raised(record, err) end
  if err then check(count == #tasks, "as_completed gave %d of %d tasks", count, #tasks) end
end

function ops.map(record)
  local n, running, most = random(0, 5), 0, 0
  local list = {}
  for i = 1, n do list[i] = i end
  local ok, results = catch(ml.map, list, function(i)
    running = running + 1
    most = math.max(most, running)
    local _ <close> = setmetatable({}, { __close = function() running = running - 1 end })
    ml.sleep(short_time())
    return i * i
  end, { limit = 2 })
  check(most <= 2, "map ran %d at once", most)
  check(running == 0, "map left %d running", running)
  if not ok then return raised(record, results) end
  for i = 1, n do check(results[i] == i * i, "map gave a wrong result") end
end

function ops.timeout(record)
  local limit, start = short_time(), ml.now()
  record.limits = record.limits + 1
  local inner
  local results = table.pack(catch(ml.timeout, limit, function()
    inner = table.pack(catch(sub_program, record, random(0, 3)))
    if not inner[1] then error(inner[2], 0) end
    return "value", start
  end))
  record.limits = record.limits - 1
  if not results[1] then
    check(inner == nil or rawequal(inner[2], results[2]), "timeout raised another error")
    return raised(record, results[2])
  end
  if results[2] == nil then
    check(results[3].kind == "timeout", "timeout gave nil")
    check(ml.now() >= start + limit - 1e-9, "a limit expired early")
  else
    check(results[2] == "value" and results[3] == start, "timeout lost a result")
  end
end

function ops.deadline(record)
  local limit, start = short_time(), ml.now()
  local d
  local ok, err = catch(function()
    local block <close> = ml.deadline(limit)
    d = block
    if chance(20) and not d.expired then catch(d.extend, d, limit) end
    sub_program(record, random(0, 2))
    local slept, why = pcall(ml.sleep, short_time())
    if not slept and why.kind == "timeout" and d.expired then
      check(not pcall(ml.sleep, 0), "a wait inside an expired deadline did not raise")
    end
  end)
  if d.expired then check(ml.now() >= start + limit - 1e-9, "a deadline expired early") end
  if not ok then raised(record, err) end
end

function ops.shield(record)
  local finished = false
  local time = short_time()
  local ok, value = catch(ml.shield, function()
    if chance(50) then
      ml.sleep(time)
    else -- its tasks are sheltered too
      local child = ml.spawn(function() ml.sleep(time) return "sheltered" end)
      local a = ml.gather(function() ml.sleep(time) return "sheltered" end, { ml.sleep, 0 })
      check(a == "sheltered" and child:await() == "sheltered", "a shield lost a value")
    end
    ml.sleep(0)
    finished = true
    return record
  end)
  check(ok and finished and value == record, "a shield was broken: %s", tostring(value))
end

-- --- shared objects ---

local function put(record, queue, forced)
  local value = { queue = queue, state = "putting", from = record }
  queue.values[#queue.values + 1] = value
  record.puts = (record.puts or 0) + 1
  value.order = record.puts
  local ok, err = catch(queue.object.put, queue.object, value)
  value.state = ok and "put" or "failed"
  if ok or forced then return end
  check(is_own_cancel(err) or err.kind == "closed" or err.kind == "timeout", "put raised %s", tostring(err))
  raised(record, err)
end

local function got(record, queue, value)
  check(value.queue == queue, "a value came out of another queue")
  value.got = (value.got or 0) + 1
  local seen = record.seen or {}
  record.seen = seen
  local key = queue
  seen[key] = seen[key] or {}
  check((seen[key][value.from] or 0) < value.order, "values of one producer overtook each other")
  seen[key][value.from] = value.order
end

function ops.put(record) put(record, pick(round.queues)) end

function ops.try_put(record)
  local queue = pick(round.queues)
  local value = { queue = queue, state = "putting", from = record }
  record.puts = (record.puts or 0) + 1
  value.order = record.puts
  local ok, done = catch(queue.object.try_put, queue.object, value)
  if not ok then
    check(done.kind == "closed" and queue.closed, "try_put raised %s", tostring(done))
  elseif done then
    value.state = "put"
    queue.values[#queue.values + 1] = value
  end
end

function ops.get(record)
  local queue = pick(round.queues)
  local ok, value = catch(queue.object.get, queue.object)
  if ok then return got(record, queue, value) end
  check(is_own_cancel(value) or value.kind == "closed" and queue.closed or value.kind == "timeout",
    "get raised %s", tostring(value))
  raised(record, value)
end

function ops.try_get(record)
  local queue = pick(round.queues)
  local ok, value = catch(queue.object.try_get, queue.object)
  if ok and value then got(record, queue, value) end
end

function ops.get_limited(record)
  local queue = pick(round.queues)
  local value
  record.limits = record.limits + 1
  local ok, err = catch(ml.timeout, short_time(), function() value = queue.object:get() end)
  record.limits = record.limits - 1
  if value then got(record, queue, value) end
  if not ok then raised(record, err) end
end

function ops.close_queue()
  if chance(95) then return end
  local queue = pick(round.queues)
  queue.object:close()
  queue.closed = true
end

function ops.semaphore(record)
  local semaphore = pick(round.semaphores)
  if record.holding then return end -- no deadlocks
  record.holding = true
  local ok, err = catch(function()
    if chance(50) then
      local _ <close> = semaphore.object:hold()
      semaphore.held = semaphore.held + 1
      local _ <close> = setmetatable({}, { __close = function() semaphore.held = semaphore.held - 1 end })
      check(semaphore.held <= semaphore.max, "%d hold %d permits", semaphore.held, semaphore.max)
      ops.sleep(record)
    elseif semaphore.object:try_acquire() then
      semaphore.held = semaphore.held + 1
      check(semaphore.held <= semaphore.max, "%d hold %d permits", semaphore.held, semaphore.max)
      local slept, why = catch(ops.sleep, record)
      semaphore.held = semaphore.held - 1
      semaphore.object:release()
      if not slept then error(why, 0) end
    end
  end)
  record.holding = false
  if not ok then raised(record, err) end
end

function ops.future(record)
  local future = pick(round.futures)
  if chance(30) and not future.settled then
    future.settled = chance(80) and "resolved" or "rejected"
    future.value = { message = "a future's" }
    if future.settled == "resolved" then
      future.object:resolve(future.value)
    else
      future.object:reject(future.value)
    end
    return
  end
  local ok, value = catch(future.object.await, future.object)
  if ok then
    check(future.settled == "resolved" and rawequal(value, future.value), "a future gave another value")
    return
  end
  if rawequal(value, future.value) then
    return check(future.settled == "rejected", "a resolved future raised")
  end
  raised(record, value)
end

function ops.event(record)
  local event = pick(round.events)
  local what = random(4)
  if what == 1 then
    event.object:set()
    event.sets = event.sets + 1
  elseif what == 2 then
    event.object:clear()
  else
    local sets, was_set = event.sets, event.object:is_set()
    local ok, err = catch(event.object.wait, event.object)
    if not ok then return raised(record, err) end
    check(was_set or event.sets > sets, "an event's waiter went on by itself")
  end
end

function ops.var(record)
  record.var = random(1000)
  round.var:set(record.var)
  local value = random(1000)
  local ok, err = catch(round.var.with, round.var, value, function()
    ml.sleep(0)
    return check(round.var:get() == value, "a variable lost its value over a wait")
  end)
  check(round.var:get() == record.var, "var:with did not put the value back")
  if not ok then raised(record, err) end
end

function ops.generator(record)
  local ok, err = catch(function()
    local left = random(1, 4)
    local next_value = coroutine.wrap(function()
      local inside = random(3)
      if inside == 1 then
        ml.timeout(100, function() -- stays open when the loop is left
          for i = 1, 3 do
            ml.sleep(0)
            coroutine.yield(i)
          end
        end)
      else
        for i = 1, 3 do
          ml.sleep(short_time())
          coroutine.yield(i)
        end
      end
    end)
    local expected = 0
    for i in next_value do
      expected = expected + 1
      check(i == expected, "a generator gave %s instead of %d", tostring(i), expected)
      left = left - 1
      if left == 0 then break end
    end
  end)
  if not ok then raised(record, err) end
  if chance(5) then collectgarbage("step", 100) end
end

local pool

function ops.executor(record)
  if chance(85) then return end
  local a, b = random(1000), random(1000)
  local ok, value = catch(pool.run, pool, function(x, y) return x * y end, a, b)
  if ok then
    check(value == a * b, "a job gave another result")
  else
    check(is_own_cancel(value) or value.kind == "timeout", "a job raised %s", tostring(value))
    raised(record, value)
  end
end

-- --- programs with an exact outcome: nobody cancels them, they share nothing ---

--- Gives a function for a task, and what it returns.
local function exact(depth)
  local kind = depth == 0 and 1 or random(7)
  operations = operations + 1
  if kind == 1 then
    local n, time = random(100), short_time()
    return function() ml.sleep(time) return n end, n
  end
  local f, x = exact(depth - 1)
  local g, y = exact(depth - 1)
  if kind == 2 then
    return function()
      local a, b = ml.gather(f, g)
      return a + b
    end, x + y
  elseif kind == 3 then
    return function()
      local a, b = ml.spawn(f), ml.spawn(g)
      return b:await() - a:await()
    end, y - x
  elseif kind == 4 then
    return function()
      local a <close> = ml.group()
      local one, two = a:spawn(f), a:spawn(g)
      return one:await() * 2 + two:await()
    end, x * 2 + y
  elseif kind == 5 then
    return function() return assert(ml.timeout(1000, f)) + ml.shield(g) end, x + y
  elseif kind == 6 then
    return function()
      local queue = ml.queue(random(0, 2))
      local sum = 0
      ml.gather(function()
        for _, h in ipairs { f, g } do queue:put(h()) end
        queue:close()
      end, function()
        for v in queue:items() do sum = sum * 3 + v end
      end)
      return sum
    end, x * 3 + y
  end
  return function()
    local ok, err = pcall(ml.gather, function() ml.sleep(0.001) error({ value = x }, 0) end,
      function() ml.sleep(100) end)
    assert(not ok)
    return err.value + g()
  end, x + y
end

-- --- programs ---

local names = {}
for name in pairs(ops) do names[#names + 1] = name end
table.sort(names)

--- A random program of the task of `record`; its result is a value of its own.
function run_program(record, length)
  if type(length) ~= "number" then length = random(0, 5) end
  for _ = 1, length do
    if #violations > 0 then return {} end
    operations = operations + 1
    local name = pick(names)
    round.did[name] = (round.did[name] or 0) + 1
    if record.depth < 5 or not name:find("spawn", 1, true) then ops[name](record) end
  end
  return {}
end

local function new_round(number)
  round = { number = number, records = {}, live = {}, queues = {}, semaphores = {}, futures = {}, events = {},
    did = {}, var = ml.var("soak") }
  for _, capacity in ipairs { 0, 1, 3, -1 } do
    round.queues[#round.queues + 1] = { object = ml.queue(capacity >= 0 and capacity or nil), values = {} }
  end
  for i = 1, 2 do round.semaphores[i] = { object = ml.semaphore(i), max = i, held = 0 } end
  round.semaphores[3] = { object = ml.lock(), max = 1, held = 0 }
  for i = 1, 3 do round.futures[i] = { object = ml.future() } end
  for i = 1, 2 do round.events[i] = { object = ml.event(), sets = 0 } end
end

local function check_queues()
  for _, queue in ipairs(round.queues) do
    while true do
      local ok, value = catch(queue.object.try_get, queue.object)
      if not ok or value == nil then break end
      value.got = (value.got or 0) + 1
    end
    check(queue.object:len() == 0, "a drained queue says it has %d values", queue.object:len())
    for _, value in ipairs(queue.values) do
      if value.state == "put" then
        check(value.got == 1, "a value that was put was got %d times", value.got or 0)
      else
        check(value.state == "failed" and not value.got, "a value whose put %s was got", value.state)
      end
    end
  end
end

local function check_permits()
  for _, semaphore in ipairs(round.semaphores) do
    check(semaphore.held == 0, "%d permits are still held", semaphore.held)
    for _ = 1, semaphore.max do check(semaphore.object:try_acquire(), "a permit is lost") end
    check(not semaphore.object:try_acquire(), "there is a permit too many")
  end
end

local function check_records()
  for _, record in ipairs(round.records) do
    local task = record.task
    if task and check(is_ended(task), "a task is still %s", task:status()) then
      check(record.cleanups == (record.began and 1 or 0), "a body was cleaned up %d times", record.cleanups)
      local ok, value = catch(task.await, task)
      check_outcome(record, ok, value)
      local expected = ok and "done" or (record.began and not record.own_cancel) and "failed" or "cancelled"
      check(task:status() == expected, "a task is %s instead of %s", task:status(), expected)
    end
  end
end

local function stuck_tasks()
  local lines = {}
  for _, task in ipairs(inspect.tasks()) do
    lines[#lines + 1] = ("task %d %s %s"):format(task.id, task.status, task.waiting_for or "")
  end
  return table.concat(lines, "; ")
end

--- Runs a round; false where a check failed.
local function run_round(number, seed)
  new_round(number)
  clock.shuffle(chance(80) and seed + number or nil)
  local before = #inspect.tasks()
  for _ = 1, random(2, 6) do
    local record = new_record(1)
    record.task = ml.spawn(body_of(record, run_program), random(5, 25))
    round.live[#round.live + 1] = record
  end
  local f, expected = exact(3)
  local exact_task = ml.spawn(f)
  local steps = random(5, 30)
  for _ = 1, steps do -- what only happens from outside
    ml.sleep(short_time())
    if chance(30) then ops.cancel() end
    if chance(10) then collectgarbage("step") end
  end
  for _, queue in ipairs(round.queues) do
    queue.object:close()
    queue.closed = true
  end
  for _, future in ipairs(round.futures) do
    if not future.settled then
      future.settled, future.value = "resolved", {}
      future.object:resolve(future.value)
    end
    catch(future.object.await, future.object) -- its error has been heard
  end
  -- Whoever still waits goes on: events stay set; the rest is limited.
  local limit = ml.now() + 60
  while #inspect.tasks() > before and ml.now() < limit do
    for _, event in ipairs(round.events) do
      event.sets = event.sets + 1
      event.object:set()
    end
    ml.sleep(0.01)
  end
  check(#inspect.tasks() == before, "tasks are left: %s", stuck_tasks())
  if #violations > 0 then return false end
  local ok, value = catch(exact_task.await, exact_task)
  check(ok and value == expected, "an exact program gave %s instead of %s", tostring(value), tostring(expected))
  check_records()
  check_queues()
  check_permits()
  return #violations == 0
end

--- run(operations, seed [, progress]) -> operations done | nil, what is wrong
function soak.run(wanted, seed, progress)
  operations, violations = 0, {}
  math.randomseed(seed)
  local was_virtual = clock.virtual()
  pool = ml.executor.new { threads = 2 }
  local number, good = 0, true
  local told = 0
  while good and operations < wanted do
    number = number + 1
    good = run_round(number, seed)
    if progress and operations - told >= wanted / 10 then
      told = operations
      progress(operations)
    end
  end
  pool:close()
  clock.shuffle(nil)
  if not was_virtual then clock.real() end
  round, pool = nil, nil
  if good then return operations end
  return nil, table.concat(violations, "\n")
end

if not (arg and arg[0] and arg[0]:find("soak%.lua$")) then return soak end

local wanted = math.tointeger(tonumber(arg[1] or 1000000))
local seed = math.tointeger(tonumber(arg[2] or os.time()))
assert(wanted and seed, "usage: moonloop spec/soak/soak.lua [OPERATIONS] [SEED]")
print(("soak: seed %d"):format(seed))
local start = os.time()
local done, problem = soak.run(wanted, seed, function(n)
  io.stderr:write(("soak: %d operations after %d s, %.0f kB\n"):format(n, os.time() - start, collectgarbage("count")))
end)
if not done then
  print(("soak: seed %d failed:\n%s"):format(seed, problem))
  os.exit(1)
end
print(("soak: %d operations, seed %d, %d s: no difference"):format(done, seed, os.time() - start))
