-- Operations that are broken off at random moments: what the soaks of databases share (redis.lua, sql.lua).
--
-- Each operation has a number of its own, which its answer has to contain. It is broken off by a cancel of its
-- task, by a deadline, or by a client that goes away in the middle of its request; or it is left alone.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp
local web = require "spec.support.web"

local M = {}

local random = math.random

local AT_A_TIME = 48
local PATIENCE = 10 -- times as many as wanted are broken off, until each operation was done once
local LONGEST = 60 -- seconds after which an operation hangs
local LEAST = 10 -- of so many that are broken off, one at least has to be done: else little was tried

-- A pause of a random length: some passes of the loop, or up to about the time that an operation takes.
local function pause(longest)
  if random(3) == 1 then
    for _ = 1, random(0, 4) do ml.sleep(0) end
  else
    ml.sleep(random() * longest)
  end
end

local Soak = {}
Soak.__index = Soak

--- Notes that something is wrong.
function Soak:wrong(format, ...)
  self.faults = self.faults + 1
  if self.faults <= 20 then self.messages[#self.messages + 1] = format:format(...) end
end

-- One operation, whose end is noted. Gives its text.
local function operation(self, n)
  local over = false
  self.live[n] = ml.now()
  local _ <close> = setmetatable({}, { __close = function()
    self.live[n] = nil
    if not over then self.cancelled = self.cancelled + 1 end
  end })
  local text = ("text-%d."):format(n)
  local name = self.names[random(#self.names)]
  local value, err = self.operations[name](text, n)
  over = true
  if err ~= nil then
    self.failed = self.failed + 1
    if not self.may_fail(err) then self:wrong("operation %d failed: %s", n, tostring(err)) end
  elseif value == text or value == nil and self.may_lose then
    self.done = self.done + 1
    if value then self.times[name] = self.times[name] + 1 end
  else
    self:wrong("operation %d got %s in place of '%s'", n, tostring(value), text)
  end
  return text
end

local function failure_of(task) return tostring(select(2, pcall(task.await, task))) end

-- Starts operation n and breaks it off; gives the task that does.
local ways = {
  function(self, n) -- its task is cancelled
    return ml.spawn(function()
      local task = ml.spawn(operation, self, n)
      pause(self.longest)
      task:cancel()
      ml.wait { task }
      if task:status() == "failed" then self:wrong("operation %d: %s", n, failure_of(task)) end
    end)
  end,
  function(self, n) -- its deadline passes
    return ml.spawn(function()
      local ok, err = pcall(function()
        local _ <close> = ml.deadline(random() * self.longest)
        operation(self, n)
      end)
      if not ok and not (ml.is_error(err) and err.kind == "timeout") then
        self:wrong("operation %d: %s", n, tostring(err))
      end
    end)
  end,
  function(self, n) -- its client goes away
    return ml.spawn(function()
      local conn <close> = assert(rawtcp.connect(self.port))
      conn:send(("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"):format(n))
      pause(self.longest)
      conn:reset()
    end)
  end,
  function(self, n) -- it is left alone
    return ml.spawn(operation, self, n)
  end,
}

local function is_empty(t) return next(t) == nil end

-- The name of an operation that was never done.
local function undone(self)
  for name, times in pairs(self.times) do
    if times == 0 then return name end
  end
end

-- Waits until f() is true; else raises `what`, with what `details()` says.
local function wait_until(what, f, details)
  local ok = ml.timeout(LONGEST, function()
    while not f() do ml.sleep(0.002) end
    return true
  end)
  if not ok then error(("%s\n%s\n%s"):format(what, details and details() or "", ml.dump()), 0) end
end

M.wait_until = wait_until

-- The operations that have not ended in time.
local function hanging(self)
  local oldest
  for n, since in pairs(self.live) do
    if ml.now() - since > LONGEST then oldest = n end
  end
  return oldest
end

local function run(self, o)
  local over, n = false, 0
  local troubles = o.disturb and ml.spawn(o.disturb, function() return over end)
  while self.cancelled < o.cancels or undone(self) and self.cancelled < o.cancels * PATIENCE do
    local tasks = {}
    for i = 1, AT_A_TIME do
      n = n + 1
      tasks[i] = ways[random(#ways)](self, n)
    end
    local _, pending = ml.wait(tasks, { timeout = LONGEST })
    if pending[1] or hanging(self) then
      error(("operation %s hangs\n%s"):format(hanging(self) or "?", ml.dump()), 0)
    end
    for _, task in ipairs(tasks) do
      if task:status() == "failed" then self:wrong("%s", failure_of(task)) end
    end
    if self.faults > 0 then break end
    if o.progress then o.progress(self) end
  end
  over = true
  if troubles then troubles:await() end
  wait_until("operations hang", function() return is_empty(self.live) end)
  if self.done < o.cancels // LEAST then
    self:wrong("%d operations were broken off, and only %d were done", self.cancelled, self.done)
  end
  if undone(self) then self:wrong("%s was never done", undone(self)) end
  if self.faults > 0 then error(("%d faults:\n%s"):format(self.faults, table.concat(self.messages, "\n")), 0) end
end

--- Lets a proxy (spec/support/proxy.lua) make faults: an `o.disturb` that cuts and freezes all connections
-- besides.
function M.harass(proxy)
  proxy:harass { cut = 0.002, bytes = 0.02, halves = 0.1, freeze = 0.002, delays = 0.05, delay = 0.002 }
  return function(over)
    while not over() do
      ml.sleep(random() * 0.5)
      local dice = random(3)
      if dice == 1 then proxy:cut(random(2) == 1) end
      if dice == 2 then
        proxy:freeze()
        ml.sleep(random() * 0.05)
        proxy:thaw()
      end
    end
  end
end

--- Runs operations until so many were broken off: o.cancels. A tenth of that number must have been done besides, and
-- each operation at least once. o.operations: from names to functions(text, n) that give the text, or nil and an
-- error, for which o.may_fail(err) has to be true; with o.may_lose, nil without an error is an answer, too. o.longest:
-- the seconds in which they are broken off. o.disturb(over): a function that makes faults until over() is true. Gives
-- {cancelled, done, failed, times = how often each was done}, and raises where anything was wrong.
function M.run(o)
  local self = setmetatable({ operations = o.operations, may_fail = o.may_fail or function() return false end,
    may_lose = o.may_lose, longest = o.longest or 0.004, faults = 0, messages = {}, live = {}, cancelled = 0,
    done = 0, failed = 0, names = {}, times = {} }, Soak)
  for name in pairs(o.operations) do
    table.insert(self.names, name)
    self.times[name] = 0
  end
  table.sort(self.names) -- so that a seed repeats a run
  local app = ml.web.app()
  app:get("/{n:int}", function(req) return operation(self, req.params.n) end)
  web.serving(app, function(port)
    self.port = port
    run(self, o)
  end)
  return { cancelled = self.cancelled, done = self.done, failed = self.failed, times = self.times }
end

return M
