-- The loop's timers, seen from a process of its own.
local binary = require("spec.support").binary

describe("a timer", function()
  it("that is overdue when the loop polls fires, although nothing comes on the sockets it watches", function()
    local script = [[
      local ml = require "moonloop"
      ml.web.listen(ml.web.app(), {host = "127.0.0.1", port = 0})
      ml.spawn(function()
        ml.sleep(0.001)
        print("awake")
        os.exit(0)
      end)
      ml.sleep(0)
      local start = os.clock()
      repeat until os.clock() - start > 0.02
      ml.sleep(3600)
    ]]
    local pipe = assert(io.popen(("timeout -s KILL 20 '%s' -e '%s' 2>&1"):format(binary, script)))
    assert.equal("awake\n", pipe:read("a"))
    pipe:close()
  end)
end)
