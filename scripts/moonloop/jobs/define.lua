--- jobs:define, and what a definition says about a run.
local core = require "moonloop.core"
local options = require "moonloop.core.options"

local ATTEMPTS = 25
-- 1, 2, 4 ... seconds, then six hours: 25 attempts take about two and a half days.
local BACKOFF = { base = 1, max = 6 * 3600, jitter = 0.1 }

local M = {}

local function is_number(v, low) return type(v) == "number" and v >= low and v < math.huge end

local function seconds(v)
  return not (is_number(v, 0) and v > 0) and "a number of seconds, more than 0" or nil
end

local backoff_fields = {
  base = function(v) return not is_number(v, 0) and "a number of seconds, at least 0" or nil end,
  max = function(v) return not is_number(v, 0) and "a number of seconds, at least 0" or nil end,
  jitter = function(v)
    return not (is_number(v, 0) and v <= 1) and "a number from 0 to 1" or nil
  end,
}

local known = {
  attempts = function(v)
    return not (math.type(v) == "integer" and v >= 1 and v <= 1000) and "an integer from 1 to 1000" or nil
  end,
  backoff = function(v) return type(v) ~= "table" and not core.is_callable(v) and "a function or a table" or nil end,
  timeout = seconds, cpu = seconds, offload = "boolean", keep = seconds,
  concurrency = function(v)
    return not (math.type(v) == "integer" and v >= 1) and "an integer, at least 1" or nil
  end,
  args = function(v)
    return not (type(v) == "table" and core.is_callable(v.parse)) and "a schema of ml.schema" or nil
  end,
}
M.seconds = seconds

--- For options that are names, of jobs, queues and keys.
function M.name(v)
  return not (type(v) == "string" and v ~= "" and utf8.len(v) and not v:find "%c") and "a name" or nil
end

--- Seconds until the next attempt after the one with the number `attempt` has failed.
local function exponential(field)
  return function(attempt)
    local delay = math.min(field.max, field.base * 2.0 ^ math.min(attempt - 1, 100))
    return delay * (1 + field.jitter * math.random())
  end
end

local function backoff_of(opts)
  if core.is_callable(opts.backoff) then return opts.backoff end
  local own = options.check(opts.backoff, backoff_fields, "the backoff of jobs:define", "field")
  local fields = {}
  for name, value in pairs(BACKOFF) do fields[name] = own[name] or value end
  return exponential(fields)
end

local SEPARATOR = "\31" -- no name has it: they have no control characters

--- The lane that jobs of that name have for themselves in a queue.
function M.own_lane(name, queue) return queue .. SEPARATOR .. name end

--- The lane of a job: jobs of one lane are taken in their order. A name with `concurrency` has one of its own in
-- each queue, so that those that must wait are in nobody's way; they are counted by the name, in all queues.
function M.lane(definition, queue)
  return definition.concurrency and M.own_lane(definition.name, queue) or queue
end

--- jobs:define(name, [opts,] f)
function M.define(self, name, opts, f)
  if f == nil then opts, f = nil, opts end
  if M.name(name) then
    core.fail(("jobs:define: the name of a job expected, got %s"):format(
      type(name) == "string" and ("%q"):format(name) or type(name)))
  end
  if not core.is_callable(f) then
    core.fail(("jobs:define: a function for '%s' expected, got %s"):format(name, type(f)))
  end
  if self.definitions[name] then
    core.fail(("jobs:define: '%s' is defined already, at %s: give this one another name"):format(name,
      self.definitions[name].place or "?"))
  end
  opts = options.check(opts, known, "jobs:define")
  self.definitions[name] = {
    name = name, f = f, attempts = opts.attempts or ATTEMPTS, backoff = backoff_of(opts), timeout = opts.timeout,
    cpu = opts.cpu, offload = opts.offload, concurrency = opts.concurrency, args = opts.args,
    keep = opts.keep or self.keep, place = core.place(),
  }
  self.names[#self.names + 1] = name
end

--- The definition of a job, for the function `whose`. Raises where there is none.
function M.find(self, name, whose)
  local definition = self.definitions[name]
  if definition then return definition end
  if type(name) ~= "string" then
    core.fail(("%s: the name of a job expected, got %s"):format(whose, type(name)))
  end
  if #self.names == 0 then
    core.fail(("%s: no job '%s' is defined: jobs:define(%q, function(args, job) ... end) comes first"):format(whose,
      name, name))
  end
  core.fail(("%s: %s"):format(whose, core.unknown("job", name, "jobs", self.names)))
end

return M
