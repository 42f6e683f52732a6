-- Connections in bad company: pieces, delays, cuts, and tasks that leave at any point.
local ml = require "moonloop"
local left = require "spec.support.left"
local proxies = require "spec.support.proxy"
local support = require "spec.support"

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
  local between <close> = proxies.start(port)
  between.pass, between.delay = how.pass, how.delay
  body("127.0.0.1", between.port)
end

--- Passes bytes on in pieces of this size.
local function by(size)
  return function(bytes)
    local pieces = {}
    for from = 1, #bytes, size do pieces[#pieces + 1] = bytes:sub(from, from + size - 1) end
    return pieces
  end
end

--- Cuts the connection off after that many bytes of what the server says.
local function cut_after(left_over)
  return function(bytes, upwards)
    if upwards then return { bytes } end
    local piece = bytes:sub(1, left_over)
    left_over = left_over - #piece
    return { piece, cut = left_over == 0 }
  end
end

describe("a dialogue", function()
  for name, how in pairs {
    ["that comes in single bytes"] = { pass = by(1) },
    ["that comes in small pieces, late"] = { pass = by(7), delay = function() return 0 end },
    ["that comes as it likes"] = { pass = by(100000) },
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
    with_server({ pass = cut_after(1000) }, function(host, port)
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
        if left.descriptors() <= most then return end
        ml.sleep(0.001)
      end
      assert.equal(most, left.descriptors())
    end
    local before = left.descriptors()
    for _ = 1, 10 do
      round(40)
      settle(before)
    end
  end)
end)
