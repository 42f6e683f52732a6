-- Operations of random programs (soak.lua) on tasks, groups, combinators and limits.
local books = require "spec.soak.books"
local core = require "moonloop.core"
local ml = require "moonloop"
local programs = require "spec.soak.programs"

local random = math.random
local catch, is_own_cancel = ml.catch, core.is_own_cancel
local check, raised, is_ended, body_of = books.check, books.raised, books.is_ended, books.body_of
local new_record, check_outcome = books.new_record, books.check_outcome
local chance, pick, short_time = programs.chance, programs.pick, programs.short_time

local CLOCK_STEP = 4e-9 -- a virtual clock shows multiples of 2^-28 s

local ops = {}

function ops.sleep(record)
  local time, start = short_time(), ml.now()
  local ok, err = catch(ml.sleep, time)
  if not ok then
    check(is_own_cancel(err) or err.kind == "timeout", "a sleep raised %s", tostring(err))
    return raised(record, err)
  end
  check(ml.now() >= start + time - CLOCK_STEP, "a sleep ended early")
end

function ops.yield(record)
  local ok, err = catch(ml.sleep, 0)
  if not ok then raised(record, err) end
end

local function spawn(record, spawner, ...)
  local child = new_record(record.depth + 1, record)
  child.task = spawner(body_of(child, programs.run), ...)
  books.round.live[#books.round.live + 1] = child
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
  books.heard_of(child)
  check_outcome(child, results[1], results[2])
end

function ops.spawn_await(record) await(record, spawn(record, ml.spawn)) end

function ops.await(record)
  local child = books.round.live[random(math.max(#books.round.live, 1))]
  -- only younger ones: no circles
  if not child or child.depth <= record.depth or not child.task then return end
  await(record, child)
end

function ops.cancel()
  local child = books.round.live[random(math.max(#books.round.live, 1))]
  if not child or not child.task or child.safe then return end
  local ended = is_ended(child.task)
  check(child.task:cancel("soak") == not ended, "cancel() of %s said otherwise", child.task:status())
end

function ops.fail()
  if chance(30) then error(books.failure "a body", 0) end
end

--- Clean-up that waits, fails, or catches errors of its own, while an error is under way or not.
function ops.cleanup(record)
  local _ <close> = setmetatable({}, { __close = function(_, err)
    -- a cancel that clean-up inside of this one has met hides the error that started that
    if is_own_cancel(err) or ml.is_error(err) and err.kind == "timeout" then err = record.under_way end
    record.under_way = err
    local what = random(6)
    if what == 1 then
      ml.sleep(0)
    elseif what == 2 then
      ml.shield(ml.sleep, short_time())
    elseif what == 3 then
      ml.timeout(short_time(), ml.sleep, short_time())
    elseif what == 4 then
      check(not catch(error, "caught"), "an error was not caught")
    elseif what == 5 then
      ml.gather({ ml.sleep, short_time() }, { ml.sleep, 0 })
    end
    if chance(25) then
      books.replaced(err)
      error(books.failure "clean-up", 0)
    end
  end })
  programs.run(record, random(0, 2))
  if chance(25) then error(books.failure "a body with clean-up", 0) end
end

--- A cancel that is stopped by ml.catch comes back at the next wait.
function ops.catch(record)
  local ok, err = catch(ops.sleep, record)
  if ok or not is_own_cancel(err) then return end
  local again, second = catch(ml.sleep, 0)
  check(not again, "a wait after a caught cancel did not raise")
  error(again and err or second, 0)
end

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
    body = table.pack(catch(programs.run, record, random(0, 2)))
    if not body[1] then error(body[2], 0) end
    if chance(20) then
      local ok, child = catch(spawn, record, function(...) return g:spawn(...) end)
      if ok then children[#children + 1] = child else books.round.records[#books.round.records] = nil end
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
    local body = body_of(child, programs.run)
    list[i] = function(...)
      child.task = ml.current()
      books.round.live[#books.round.live + 1] = child
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
    books.heard(results[i])
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
  local is_any = chance(50)
  local ok, value = catch(is_any and ml.any or ml.race, list)
  check_over(children, "race")
  if not ok then return raised(record, value) end
  if is_any then -- what had failed before is nobody's
    for _, child in ipairs(children) do books.heard_of(child) end
  end
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
    local child = books.round.live[random(math.max(#books.round.live, 1))]
    if child and child.task and child.depth > record.depth and not by_task[child.task] then
      tasks[#tasks + 1], by_task[child.task] = child.task, child
    end
  end
  if chance(50) then
    local ok, done, pending = catch(ml.wait, tasks, { mode = pick { "first", "error", "all" }, timeout = short_time() })
    if not ok then return raised(record, done) end
    check(#done + #pending == #tasks, "wait lost a task")
    for _, task in ipairs(done) do
      check(is_ended(task), "wait called a live task done")
      books.heard_of(by_task[task])
    end
    return
  end
  local seen = {}
  local next_task, count = ml.as_completed(tasks), 0
  local function consume()
    for task in next_task do
      check(by_task[task] and not seen[task], "as_completed gave a task twice")
      check(is_ended(task), "as_completed gave a live task")
      books.heard_of(by_task[task])
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
    if chance(5) then error(books.failure "an item of map", 0) end
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
    inner = table.pack(catch(programs.run, record, random(0, 3)))
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
    check(ml.now() >= start + limit - CLOCK_STEP, "a limit expired early")
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
    programs.run(record, random(0, 2))
    local slept, why = pcall(ml.sleep, short_time())
    if not slept and why.kind == "timeout" and d.expired then
      check(not pcall(ml.sleep, 0), "a wait inside an expired deadline did not raise")
    end
  end)
  if d.expired then check(ml.now() >= start + limit - CLOCK_STEP, "a deadline expired early") end
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

return ops
