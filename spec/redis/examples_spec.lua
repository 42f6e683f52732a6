-- The examples of doc/redis.md, and the one of a cached route.
local ml = require "moonloop"
local examples = require "spec.support.examples"
local processes = require "spec.support.process"
local redis = require "spec.support.redis"

local missing = redis.missing()

describe("the page on Redis", function()
  if missing then
    it("needs a server", function() pending(missing) end)
    return
  end

  local server
  setup(function() server = redis.start() end)
  teardown(function() server:close() end)

  local function names()
    return { os = setmetatable({ getenv = function() return server.url end }, { __index = os }) }
  end
  for _, example in ipairs(examples.of("doc/redis.md", names)) do it(example.name, example.run) end

  it("names a route that makes its answer once for all who ask", function()
    local served <close> = processes.serve("scripts/examples/cached.lua", "",
      "export REDIS_URL=" .. server.url .. ";")
    local answers = ml.map({ 1, 2, 3, 4 }, function() return assert(ml.http.get(served.url .. "/reports/7")):json() end)
    for i = 1, 4 do assert.same({ id = "7", number = 1 }, answers[i]) end
    assert.equal(204, assert(ml.http.delete(served.url .. "/reports/7")).status)
    assert.same({ id = "7", number = 2 }, assert(ml.http.get(served.url .. "/reports/7")):json())
  end)
end)
