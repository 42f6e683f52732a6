-- The access log on a standard output that nobody reads, or not for now.
local folders = require "spec.support.folder"
local left = require "spec.support.left"
local ml = require "moonloop"
local served = require "spec.support.served"
local processes = require "spec.support.process"
local web = require "spec.support.web"

local LONG = ("x"):rep(2000) -- of a path

local app = [[
  local ml = require "moonloop"
  local app = ml.web.app()
  app:get("/{rest:path}", function(req) return tostring(#req.params.rest) end)
  return app
]]

-- Asks so often, one after the other, each answered in time.
local function ask(port, n)
  for i = 1, n do
    local res = assert(ml.timeout(60, web.get, port, ("/%d/%s"):format(i, LONG)))
    assert.equal(200, res.status)
  end
end

describe("an access log whose pipe is full", function()
  for _, options in ipairs { "", "--workers 2" } do
    local with = options == "" and "one process" or "workers"

    it("holds up neither requests nor signals (" .. with .. ")", function()
      local folder <close> = folders.new { ["app.lua"] = app }
      local process <close> = processes.serve(folder.path .. "/app.lua", "--access-log common " .. options)
      ask(process.port, 1500)
      process:kill "TERM"
      served.wait_until("it does not end", function() return not left.is_alive(process.pid) end)
      local _, status, errors = process:wait()
      assert.equal(0, status)
      assert.matches("moonloop: the access log is behind: %d+ entries lost\n", errors)
    end)

    it("has every line that is not counted as lost, whole and in order (" .. with .. ")", function()
      local folder <close> = folders.new { ["app.lua"] = app }
      local process <close> = processes.serve(folder.path .. "/app.lua", "--access-log common " .. options)
      ask(process.port, 1500)
      local lines = {}
      for i = 1, 100 do lines[i] = process:line() end -- there is room again
      ask(process.port, 3)
      process:kill "TERM"
      local rest, status, errors = process:wait()
      assert.equal(0, status)
      for line in rest:gmatch "[^\n]*\n" do lines[#lines + 1] = line:sub(1, -2) end
      local lost, seen = 0, {}
      for n in errors:gmatch "is behind: (%d+) entr" do lost = lost + tonumber(n) end
      for _, line in ipairs(lines) do
        local number = line:match('"GET /(%d+)/' .. LONG .. ' HTTP/1.1" 200 %d+ "%-" "%-" [%d.]+ "%x+%-%d+"')
        assert.truthy(number, line)
        seen[#seen + 1] = tonumber(number)
      end
      assert.equal(1500 + 3, #seen + lost)
      assert.is_true(lost > 0)
      if options == "" then
        for i = 2, #seen - 3 do assert.is_true(seen[i] > seen[i - 1]) end
      end
    end)
  end
end)
