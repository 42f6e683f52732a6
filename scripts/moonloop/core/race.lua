--- ml.race and ml.any: the first of several things to end, or to succeed.
local core = require "moonloop.core"
local items = require "moonloop.core.items"

local race = {}

--- race(f, g, ...) -> the winner's results    race(list)
-- The first item to end wins, with success or failure: its results are returned or its error is
-- raised. The others that race started are cancelled, and their clean-up ends before it returns.
function race.race(...)
  local list, count = items.arguments("ml.race", {}, ...)
  if count == 0 then core.fail("ml.race: nothing to race (a race without items would never end)") end
  core.checkpoint("ml.race")
  local tasks, owned = items.start(list, count, 3)
  return items.outcome(tasks[core.join(tasks, count, "first", owned)])
end

--- any(f, g, ...) -> the results of the first item that succeeds    any(list)
-- The others that `any` started are cancelled and cleaned up. When all fail, raises a "group" error
-- whose `errors` lists their errors in argument order.
function race.any(...)
  local list, count = items.arguments("ml.any", {}, ...)
  core.checkpoint("ml.any")
  local tasks, owned = items.start(list, count, 3)
  local winner = core.join(tasks, count, "success", owned)
  if winner then return items.outcome(tasks[winner]) end
  local errors, texts = {}, {}
  for i = 1, count do
    local _, err = core.outcome(tasks[i])
    errors[i], texts[i] = err, core.error_text(err)
  end
  error(core.error {
    kind = "group",
    message = ("none of %d succeeded: %s"):format(count, table.concat(texts, "; ")),
    errors = errors,
  }, 0)
end

return race
