-- The memory of a server's buffers: they go back to the pools that they came from, and are freed without clients.
local sanitized = require("spec.support").sanitized
local support = require "spec.support.web"

describe("a server's buffers", function()
  it("stay few while streams of many small writes come and go", function()
    if sanitized then return pending "sanitizers keep what is freed" end
    local output = support.run [[
      local function resident()
        for line in io.lines "/proc/self/status" do
          local kilobytes = line:match "^VmRSS:%s+(%d+)"
          if kilobytes then return tonumber(kilobytes) end
        end
      end
      local kilobyte, app = ("x"):rep(1024), web.app()
      app:get("/{n:int}", function(req)
        local n = req.params.n
        return web.response { stream = function(out) for _ = 1, n do out:write(kilobyte) end end }
      end)
      support.serving(app, function(port)
        local client = ml.http.client { base_url = "http://127.0.0.1:" .. port, max_connections = 8 }
        local function rounds(n)
          local getters = {}
          for i = 1, 8 do
            getters[i] = function()
              for _ = 1, n do
                for size = 7, 17 do assert(#client:get("/" .. size).body == size * 1024) end
              end
            end
          end
          ml.gather(table.unpack(getters))
        end
        rounds(5)
        collectgarbage()
        local before = resident()
        rounds(60)
        collectgarbage()
        print("grown by " .. resident() - before)
      end)]]
    local grown = tonumber(output:match "grown by (%-?%d+)")
    assert(grown and grown < 8000, output) -- kB; each of 5,280 responses once left 16
  end)
end)
