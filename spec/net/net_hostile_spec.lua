-- Connections in bad company: pieces, delays, cuts, and tasks that leave at any point.
local ml = require "moonloop"
local lfs = require "lfs"
local middle = require "spec.support.middle"
local support = require "spec.support"

--- The descriptors of this process.
local function descriptors()
  local n = 0
  for name in lfs.dir "/proc/self/fd" do
    if name:find "^%d" then n = n + 1 end
  end
  return n
end

--- A server of a dialogue: it repeats lines, and sends as many bytes as it is told to.
local function serve(conn)
  local line = conn:read()
  while line do
    local n = line:match "^send (%d+)$"
    if not conn:write(n and support.xs(tonumber(n)) or line, "\n") then return end
    line = conn:read()
  end
end

local function with_server(how, body)
  local server <close> = assert(ml.net.listen("127.0.0.1", 0, serve))
  local host, port = server:address()
  if not how then return body(host, port) end
  local between <close> = middle.listen(host, port, how)
  body(between:address())
end

describe("a dialogue", function()
  for name, how in pairs {
    ["that comes in single bytes"] = { size = 1 },
    ["that comes in small pieces, late"] = { size = 7, wait = function() ml.sleep(0) end },
    ["that comes as it likes"] = {},
  } do
    it(name .. " is the same", function()
      with_server(how, function(host, port)
        local conn <close> = assert(ml.net.connect(host, port))
        for i = 1, 20 do
          conn:write("line ", i, "\n")
          assert.equal("line " .. i, conn:read())
        end
        conn:write "send 3000\n"
        assert.equal(support.xs(3000) .. "\n", conn:read "L")
        conn:shutdown()
        assert.is_nil(conn:read())
      end)
    end)
  end

  it("that is cut is over for both sides", function()
    with_server({ bytes = 1000 }, function(host, port)
      local conn <close> = assert(ml.net.connect(host, port))
      conn:write "send 3000\n"
      assert.equal(1000, #conn:read(1000))
      local text, err = conn:read()
      assert.is_nil(text)
      assert(err == nil or err.kind == "network", err)
    end)
  end)
end)

it("tasks that leave connections at any point leave nothing else", function()
  with_server(nil, function(host, port)
    local steps = {
      function(conn) conn:read() end,
      function(conn) conn:write "x\n" end,
      function(conn)
        conn:write "x\n"
        conn:read(1)
      end,
      function(conn)
        conn:write "send 3000000\n"
        conn:read(100)
      end,
      function(conn) conn:write(support.xs(200000), "\n") end,
      function(conn)
        conn:shutdown()
        conn:read "a"
      end,
      function(conn) conn:close() end,
    }
    local function client(step)
      local conn <close> = assert(ml.net.connect(host, port))
      step(conn)
      if step ~= steps[1] then ml.sleep(0) end
    end
    local function round(n)
      local tasks = {}
      for i = 1, n do tasks[i] = ml.spawn(client, steps[i % #steps + 1]) end
      for i, task in ipairs(tasks) do
        for _ = 1, i % 5 do ml.sleep(0) end
        task:cancel()
        ml.catch(task.await, task)
      end
    end
    --- Waits until the server, too, has done with them.
    local function settle(most)
      for _ = 1, 10000 do
        if descriptors() <= most then return end
        ml.sleep(0.001)
      end
      assert.equal(most, descriptors())
    end
    local before = descriptors()
    for _ = 1, 10 do
      round(40)
      settle(before)
    end
  end)
end)
