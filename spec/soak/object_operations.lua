-- Operations of random programs (soak.lua) on what tasks share: queues, permits, futures, events,
-- variables, generators, a pool.
local books = require "spec.soak.books"
local core = require "moonloop.core"
local ml = require "moonloop"
local programs = require "spec.soak.programs"

local random = math.random
local catch, is_own_cancel = ml.catch, core.is_own_cancel
local check, raised = books.check, books.raised
local chance, pick, short_time = programs.chance, programs.pick, programs.short_time

local ops = {}

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

function ops.put(record) put(record, pick(books.round.queues)) end

function ops.try_put(record)
  local queue = pick(books.round.queues)
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
  local queue = pick(books.round.queues)
  local ok, value = catch(queue.object.get, queue.object)
  if ok then return got(record, queue, value) end
  check(is_own_cancel(value) or value.kind == "closed" and queue.closed or value.kind == "timeout",
    "get raised %s", tostring(value))
  raised(record, value)
end

function ops.try_get(record)
  local queue = pick(books.round.queues)
  local ok, value = catch(queue.object.try_get, queue.object)
  if ok and value then got(record, queue, value) end
end

function ops.get_limited(record)
  local queue = pick(books.round.queues)
  local value
  record.limits = record.limits + 1
  local ok, err = catch(ml.timeout, short_time(), function() value = queue.object:get() end)
  record.limits = record.limits - 1
  if value then got(record, queue, value) end
  if not ok then raised(record, err) end
end

function ops.close_queue()
  if chance(95) then return end
  local queue = pick(books.round.queues)
  queue.object:close()
  queue.closed = true
end

function ops.semaphore(record)
  local semaphore = pick(books.round.semaphores)
  if record.holding then return end -- no deadlocks
  record.holding = true
  local ok, err = catch(function()
    if chance(50) then
      local _ <close> = semaphore.object:hold()
      semaphore.held = semaphore.held + 1
      local _ <close> = setmetatable({}, { __close = function() semaphore.held = semaphore.held - 1 end })
      check(semaphore.held <= semaphore.max, "%d hold %d permits", semaphore.held, semaphore.max)
      programs.ops.sleep(record)
    elseif semaphore.object:try_acquire() then
      semaphore.held = semaphore.held + 1
      check(semaphore.held <= semaphore.max, "%d hold %d permits", semaphore.held, semaphore.max)
      local slept, why = catch(programs.ops.sleep, record)
      semaphore.held = semaphore.held - 1
      semaphore.object:release()
      if not slept then error(why, 0) end
    end
  end)
  record.holding = false
  if not ok then raised(record, err) end
end

function ops.future(record)
  local future = pick(books.round.futures)
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
  local event = pick(books.round.events)
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
  books.round.var:set(record.var)
  local value = random(1000)
  local ok, err = catch(books.round.var.with, books.round.var, value, function()
    ml.sleep(0)
    return check(books.round.var:get() == value, "a variable lost its value over a wait")
  end)
  check(books.round.var:get() == record.var, "var:with did not put the value back")
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

function ops.executor(record)
  if chance(85) then return end
  local a, b = random(1000), random(1000)
  local ok, value = catch(books.pool.run, books.pool, function(x, y) return x * y end, a, b)
  if ok then
    check(value == a * b, "a job gave another result")
  else
    check(is_own_cancel(value) or value.kind == "timeout", "a job raised %s", tostring(value))
    raised(record, value)
  end
end

--- A job that fails, and reaches its caller as a copy.
function ops.failing_job(record)
  if chance(90) then return end
  local n = random(1000)
  local ok, err = catch(books.pool.run, books.pool, function(value) error({ n = value }) end, n)
  check(not ok, "a failing job returned")
  check(is_own_cancel(err) or err.kind == "timeout" or err.n == n, "a failing job raised %s", tostring(err))
  raised(record, err)
end

--- A failing job that its caller may or may not wait for.
function ops.call(record)
  if chance(90) then return end
  local failure = books.failure "a call of a pool"
  local call = books.pool:start(function(text) error(text, 0) end, tostring(failure))
  failure.call = call
  if chance(50) then return end
  local ok, err = catch(call.await, call)
  check(not ok, "the call of a failing job returned")
  if err == tostring(failure) then
    books.heard(failure)
  else
    raised(record, err)
  end
end

return ops
