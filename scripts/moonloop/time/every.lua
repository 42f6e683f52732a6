--- ml.every: a beat without drift.
local core = require "moonloop.core"
local check_options = require "moonloop.core.options".check

local known = { immediate = "boolean" }

--- every(seconds [, {immediate = false}]): for n in ml.every(1) do ... end. Beat n is due n times
-- `seconds` after the call, or with `immediate` one period earlier, so that the first is at once. Beats
-- that were due while the body ran are skipped, and n counts them.
return function(seconds, opts)
  if math.type(seconds) == nil then
    core.fail(("bad argument #1 to 'ml.every' (number of seconds expected, got %s)"):format(type(seconds)))
  elseif not (seconds > 0 and seconds < math.huge) then
    core.fail(("bad argument #1 to 'ml.every' (a positive, finite number expected, got %s)"):format(seconds))
  end
  opts = check_options(opts, known, "ml.every")
  local start, n = core.now(), 0
  if opts.immediate then start = start - seconds end
  return function()
    -- A beat that is due at this moment has not been missed, whatever the last digits say.
    if n == 0 then n = 1 else n = math.max(n + 1, math.ceil((core.now() - start) / seconds - 1e-6)) end
    core.sleep(math.max(0, start + n * seconds - core.now()))
    return n
  end
end
