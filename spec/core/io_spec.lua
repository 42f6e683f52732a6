-- Sockets and the loop: what any binding that waits for a descriptor has to do.
local ml = require "moonloop"
local support = require "spec.support"
local rawtcp = support.rawtcp

local function started(f, ...)
  local task = ml.spawn(f, ...)
  ml.sleep(0)
  ml.sleep(0)
  return task
end

local function assert_cancelled_at_once(task)
  local start = ml.now()
  assert.is_true(task:cancel("stop"))
  local ok, err = pcall(task.await, task)
  assert.is_false(ok)
  assert.equal("cancelled", err.kind)
  assert.equal("cancelled", task:status())
  assert.is_true(ml.now() - start < 50)
end

describe("the loop", function()
  it("TK-10 cannot be started from inside a task, and is not harmed by the attempt", function()
    local task = ml.spawn(function() ml.sleep(0.01) return "done" end)
    local status, report = support.run_loop()
    assert.equal(1, status)
    assert.equal("moonloop: this runtime is running already\n", report)
    assert.equal("done", task:await())
  end)
end)

describe("a socket", function()
  it("IO-01 echoes what it is sent, ten times on one port", function()
    local port
    for _ = 1, 10 do
      local listener <close> = assert(rawtcp.listen(16, port))
      port = listener.port
      local server = ml.spawn(function()
        local conn <close> = assert(listener:accept())
        while true do
          local text, word = conn:receive()
          if not text then return word end
          conn:send(text)
        end
      end)
      local conn = assert(rawtcp.connect(port))
      for _, text in ipairs { "hello", "world", ("x"):rep(800) } do
        conn:send(text)
        assert.equal(text, conn:receive(#text))
      end
      conn:close()
      assert.equal("closed", server:await())
    end
  end)

  it("IO-06 cancels a task in accept at once; the listener can be used on", function()
    local listener <close> = assert(rawtcp.listen())
    assert_cancelled_at_once(started(listener.accept, listener))
    local conn <close> = assert(rawtcp.connect(listener.port))
    local accepted <close> = assert(listener:accept())
    conn:send("hello")
    assert.equal("hello", accepted:receive(5))
  end)

  it("IO-06 cancels a task in read at once; the connection can be used on", function()
    local listener <close> = assert(rawtcp.listen())
    local conn <close> = assert(rawtcp.connect(listener.port))
    local accepted <close> = assert(listener:accept())
    assert_cancelled_at_once(started(conn.receive, conn))
    accepted:send("later")
    assert.equal("later", conn:receive(5))
  end)

  it("IO-06 cancels a task in a write that the peer does not read", function()
    local listener <close> = assert(rawtcp.listen())
    local conn <close> = assert(rawtcp.connect(listener.port))
    local _ <close> = assert(listener:accept())
    assert_cancelled_at_once(started(conn.send, conn, ("x"):rep(16 * 1024 * 1024)))
  end)

  it("IO-06 cancels a task in connect at once", function()
    local listener <close> = assert(rawtcp.listen())
    local task = ml.spawn(rawtcp.connect, listener.port)
    local watcher = ml.spawn(function() task:cancel() end) -- in the pass in which it begins
    watcher:await()
    local ok, result = pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("cancelled", result.kind)
  end)
end)
