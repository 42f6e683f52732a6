-- The books of a run of random operations (soak.lua): what a round's tasks and objects did, and what is
-- wrong with it.
local core = require "moonloop.core"
local ml = require "moonloop"

local catch, is_own_cancel = ml.catch, core.is_own_cancel

local TIMED_OUT = "its time was over" -- the reason of a limit's cancel

local books = {
  operations = 0, -- of this run
  violations = {},
  round = nil, -- this round's objects and records
  pool = nil, -- for its jobs
}

--- Books a violation, a format and its values, unless `ok`; gives `ok`.
function books.check(ok, ...)
  if not ok then
    books.violations[#books.violations + 1] = ("round %d: "):format(books.round.number) .. string.format(...)
  end
  return ok
end

local check = books.check

--- What a program raises: a value that knows whether somebody has been given it.
local Failure = {}
Failure.__index = Failure
function Failure:__tostring() return ("<soak %d>"):format(self.id) end

--- A new error, to be raised in `place`, for messages.
function books.failure(place)
  local failures = books.round.failures
  local failure = setmetatable({ id = #failures + 1, place = place }, Failure)
  failures[failure.id] = failure
  return failure
end

--- Somebody was given `err`, and all the errors in it.
function books.heard(err)
  if type(err) ~= "table" then return end
  if getmetatable(err) == Failure then
    err.heard = true
  elseif ml.is_error(err) then
    for _, one in ipairs(err.errors or {}) do books.heard(one) end
    if not rawequal(err.value, err) then books.heard(err.value) end
  end
end

--- Somebody was given the ended task of `record`.
function books.heard_of(record)
  local with = record.ended_with
  if with and not with[1] then books.heard(with[2]) end
end

--- Clean-up that was told of `err` raises another error: that takes its place, as Lua has it.
books.replaced = books.heard

--- Each error of the round has reached somebody, or is in the reports.
function books.check_failures(reported)
  for _, failure in ipairs(books.round.failures) do
    local is_lost = not failure.heard and not reported:find(tostring(failure), 1, true)
    -- the worker reports what a job raises when its caller has been cancelled
    if failure.call and failure.call:status() == "cancelled" then is_lost = false end
    check(not is_lost, "an error raised in %s is lost", failure.place)
  end
end

function books.is_ended(task)
  local status = task:status()
  return status == "done" or status == "failed" or status == "cancelled"
end

--- Wraps a program as a body that keeps `record`.
function books.body_of(record, program)
  return function(...)
    check(not record.began, "a body ran twice")
    record.began = true
    check(books.round.var:get() == record.var, "a child did not inherit a variable")
    local _ <close> = setmetatable({}, { __close = function() record.cleanups = record.cleanups + 1 end })
    local result = table.pack(catch(program, record, ...))
    record.ended_with, record.own_cancel = result, not result[1] and is_own_cancel(result[2])
    if not result[1] then error(result[2], 0) end
    return table.unpack(result, 2, result.n)
  end
end

--- A record of a task that is going to be spawned by that of `parent`, or by none.
function books.new_record(depth, parent)
  local record = { depth = depth, cleanups = 0, var = parent and parent.var or nil,
    limits = 0, may_time_out = parent and (parent.may_time_out or parent.limits > 0) or false }
  books.round.records[#books.round.records + 1] = record
  return record
end

--- What `task:await()` gave against what its body ended with.
function books.check_outcome(record, ok, value)
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
function books.raised(record, err)
  if is_own_cancel(err) then error(err, 0) end
  books.heard(err)
  if type(err) == "table" and err.reason == TIMED_OUT and not err.foreign then
    check(record.limits > 0 or record.may_time_out, "a limit expired after its block")
  end
end

return books
