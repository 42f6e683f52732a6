-- Random operations against a model: moonloop spec/soak/soak.lua [OPERATIONS] [SEED]
--
-- Rounds of tasks run random programs of spawn, await, cancel, group, gather, race, timeout, deadline,
-- shield, queue, semaphore, lock, event, future, generator, executor, process, connection and file
-- operations, on the virtual clock, ready tasks in random order. After each operation and each round the
-- books are checked:
--   * a value that was put is got once, or is still in its queue, or its put has failed
--   * no more holders than permits; all permits are free in the end
--   * a task ends once, with what its body ended with; all awaiters see just that
--   * a body that began is cleaned up once; one that did not begin was cancelled
--   * after a group's block its children have ended; it raises what failed, all of it, nothing else
--   * a connection gives what was written to it, whole and in order; a file holds it; a temporary folder goes with
--     its block
--   * a limit expires neither early nor after its block; a shield's body is not broken off
--   * an error that a body, its clean-up or an item raises reaches somebody (who awaits it, a group's error,
--     who was given its task), or is reported, or another error of clean-up takes its place
--   * a program without cancels and shared objects gives the value computed by plain Lua
--   * no task is left at the end of a round
-- The seed is printed; the same seed gives the same programs (jobs on other threads end when they do).
local books = require "spec.soak.books"
local clock = require "moonloop.clock"
local exact = require "spec.soak.exact"
local inspect = require "moonloop.inspect"
local ml = require "moonloop"
local programs = require "spec.soak.programs"
local support = require "spec.support"

local soak = {}

local random = math.random
local catch, check = ml.catch, books.check

programs.add(require "spec.soak.task_operations")
programs.add(require "spec.soak.object_operations")
programs.add(require "spec.soak.process_operations")
programs.add(require "spec.soak.stream_operations")

local REPORTED_AFTER = 1.1 -- seconds after which an error that nobody has heard of is reported

local function new_round(number)
  books.round = { number = number, records = {}, live = {}, queues = {}, semaphores = {}, futures = {}, events = {},
    failures = {},
    var = ml.var("soak") }
  for _, capacity in ipairs { 0, 1, 3, -1 } do
    books.round.queues[#books.round.queues + 1] = { object = ml.queue(capacity >= 0 and capacity or nil), values = {} }
  end
  for i = 1, 2 do books.round.semaphores[i] = { object = ml.semaphore(i), max = i, held = 0 } end
  books.round.semaphores[3] = { object = ml.lock(), max = 1, held = 0 }
  for i = 1, 3 do books.round.futures[i] = { object = ml.future() } end
  for i = 1, 2 do books.round.events[i] = { object = ml.event(), sets = 0 } end
end

local function check_queues()
  for _, queue in ipairs(books.round.queues) do
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
  for _, semaphore in ipairs(books.round.semaphores) do
    check(semaphore.held == 0, "%d permits are still held", semaphore.held)
    for _ = 1, semaphore.max do check(semaphore.object:try_acquire(), "a permit is lost") end
    check(not semaphore.object:try_acquire(), "there is a permit too many")
  end
end

local function check_records()
  for _, record in ipairs(books.round.records) do
    local task = record.task
    if task and check(books.is_ended(task), "a task is still %s", task:status()) then
      check(record.cleanups == (record.began and 1 or 0), "a body was cleaned up %d times", record.cleanups)
      local ok, value = catch(task.await, task)
      books.check_outcome(record, ok, value)
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
  local reports <close> = support.keep_reports()
  new_round(number)
  clock.shuffle(programs.chance(80) and seed + number or nil)
  local before = #inspect.tasks()
  for _ = 1, random(2, 6) do
    local record = books.new_record(1)
    record.task = ml.spawn(books.body_of(record, programs.run), random(5, 25))
    books.round.live[#books.round.live + 1] = record
  end
  local f, expected = exact(3)
  local exact_task = ml.spawn(f)
  local steps = random(5, 30)
  for _ = 1, steps do -- what only happens from outside
    ml.sleep(programs.short_time())
    if programs.chance(30) then programs.ops.cancel() end
    if programs.chance(10) then collectgarbage("step") end
  end
  for _, queue in ipairs(books.round.queues) do
    queue.object:close()
    queue.closed = true
  end
  for _, future in ipairs(books.round.futures) do
    if not future.settled then
      future.settled, future.value = "resolved", {}
      future.object:resolve(future.value)
    end
    catch(future.object.await, future.object) -- its error has been heard
  end
  -- Whoever still waits goes on: events stay set; the rest is limited.
  local limit = ml.now() + 60
  while #inspect.tasks() > before and ml.now() < limit do
    for _, event in ipairs(books.round.events) do
      event.sets = event.sets + 1
      event.object:set()
    end
    ml.sleep(0.01)
  end
  check(#inspect.tasks() == before, "tasks are left: %s", stuck_tasks())
  if #books.violations > 0 then return false end
  local ok, value = catch(exact_task.await, exact_task)
  check(ok and value == expected, "an exact program gave %s instead of %s", tostring(value), tostring(expected))
  collectgarbage() -- what as_completed has seen outside of a loop, nobody asks for any more
  ml.sleep(REPORTED_AFTER)
  books.check_failures(reports:text())
  check_records()
  check_queues()
  check_permits()
  return #books.violations == 0
end

--- run(operations, seed [, progress]) -> operations done | nil, what is wrong
function soak.run(wanted, seed, progress)
  books.operations, books.violations = 0, {}
  math.randomseed(seed)
  local was_virtual = clock.virtual()
  books.pool = ml.executor.new { threads = 2 }
  local number, good = 0, true
  local told = 0
  while good and books.operations < wanted do
    number = number + 1
    good = run_round(number, seed)
    if progress and books.operations - told >= wanted / 10 then
      told = books.operations
      progress(told)
    end
  end
  books.pool:close()
  clock.shuffle(nil)
  if not was_virtual then clock.real() end
  books.round, books.pool = nil, nil
  if good then return books.operations end
  return nil, table.concat(books.violations, "\n")
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