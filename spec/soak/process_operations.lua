-- Operations of random programs (soak.lua) on programs of the system.
local books = require "spec.soak.books"
local core = require "moonloop.core"
local ml = require "moonloop"
local programs = require "spec.soak.programs"

local random = math.random
local catch, is_own_cancel = ml.catch, core.is_own_cancel
local check, raised, chance = books.check, books.raised, programs.chance

local ops = {}

--- A program ends as it should, or the wait was broken off; then it has ended, too.
function ops.program(record)
  if chance(95) then return end
  local code = random(0, 255)
  local ok, result = catch(ml.process.run, { shell = "exit " .. code, group = chance(50) })
  if ok then
    check(result and result.code == code, "a program gave another code")
  else
    check(is_own_cancel(result) or result.kind == "timeout", "a program raised %s", tostring(result))
    raised(record, result)
  end
end

--- A program of a block, which is left in any way.
function ops.conversation(record)
  if chance(97) then return end
  local pid
  local ok, err = catch(function()
    local p <close> = assert(ml.process.spawn { "cat" })
    pid = p.pid
    for i = 1, random(0, 3) do
      p.stdin:write(i, "\n")
      check(p.stdout:read() == tostring(i), "a program answered something else")
    end
  end)
  check(not io.open(("/proc/%d/stat"):format(pid)), "a program is left behind its block")
  if not ok then
    check(is_own_cancel(err) or err.kind == "timeout", "a conversation raised %s", tostring(err))
    raised(record, err)
  end
end

return ops
