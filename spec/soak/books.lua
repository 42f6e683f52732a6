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
  if type(err) == "table" and err.reason == TIMED_OUT and not err.foreign then
    check(record.limits > 0 or record.may_time_out, "a limit expired after its block")
  end
end

return books
