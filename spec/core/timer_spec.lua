-- The loop's timers, seen from a process of its own.
local process = require "spec.support.process"

describe("a timer", function()
  it("that is overdue when the loop polls fires, even if nothing comes on the sockets", function()
    local output = process.run [[
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
    assert.equal("awake\n", output)
  end)
end)
