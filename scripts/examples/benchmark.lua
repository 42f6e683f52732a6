-- A hundred requests at once to each of the three ways of spending a tenth of a second in app.lua.
--
--   moonloop serve scripts/examples/app.lua                (in one terminal)
--   moonloop scripts/examples/benchmark.lua [URL [COUNT]]  (in another)
local ml = require "moonloop"

local url = arg[1] or "http://127.0.0.1:8000"
local count = math.tointeger(tonumber(arg[2] or 100))
assert(count and count > 0, "COUNT must be a whole number above 0")

local client = ml.http.client { base_url = url, timeout = 60, max_connections = count }

local function try(path)
  local res, err = client:get(path)
  return res and res.status == 200, err and tostring(err) or res and "status " .. res.status
end

print(("%d requests at once to each of %s"):format(count, url))
print(("%-16s %9s %12s %10s"):format("", "seconds", "requests/s", "successes"))
for _, path in ipairs { "/test/blocking", "/test/offload", "/test/async" } do
  local successes, problem = 0, nil
  local requests = {}
  for i = 1, count do
    requests[i] = function()
      local ok, why = try(path)
      if ok then successes = successes + 1 else problem = why end
    end
  end
  local start = ml.now()
  ml.gather(requests)
  local seconds = ml.now() - start
  print(("%-16s %9.3f %12.1f %6d/%d%s"):format(path, seconds, count / seconds, successes, count,
    problem and "  (" .. problem .. ")" or ""))
end
