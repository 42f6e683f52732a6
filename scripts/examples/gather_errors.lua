-- Several things at once, some of which fail. gather fails with the first failure; with
-- return_errors it waits for all and puts an error object in each failed slot.
local ml = require "moonloop"

local function divide(a, b)
  ml.sleep(0.01)
  if b == 0 then error("cannot divide " .. a .. " by zero", 0) end
  return a // b
end

local jobs = { { divide, 84, 2 }, { divide, 1, 0 }, { divide, 9, 3 } }

print("fail-fast:", pcall(ml.gather, jobs))

local results = ml.gather(jobs, { return_errors = true })
for i = 1, results.n do
  local result = results[i]
  if ml.is_error(result) then
    print("job " .. i .. " failed: " .. tostring(result.value))
  else
    print("job " .. i .. " gave " .. result)
  end
end
