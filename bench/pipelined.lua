-- For wrk, not for moonloop: each write carries sixteen requests.
-- luacheck: globals wrk init request
local batch

function init()
  local requests = {}
  for i = 1, 16 do requests[i] = wrk.format("GET", wrk.path) end
  batch = table.concat(requests)
end

function request() return batch end
