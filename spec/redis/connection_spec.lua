-- The connection that all tasks share: cancels, losses, timeouts, a server that is away.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp
local redis = require "spec.support.redis"

--- What a task waits for, as ml.tasks() has it.
local function waits_for(task)
  for _, entry in ipairs(ml.tasks()) do
    if entry.id == task.id then return entry.waiting_for end
  end
end

describe("the shared connection", function()
  it("shows no password that the server repeats in a refusal", function()
    local function refusal(text, opts)
      local server <close> = redis.fake(function() end, function(conn, words)
        conn:send((text:gsub("WORDS", table.concat(words, " "))))
        redis.read_command(conn)
      end)
      opts.password = "hunter2"
      local r <close> = ml.redis.client(server.url, opts)
      return select(2, r:get "k")
    end
    for _, opts in ipairs { {}, { protocol = 2 } } do
      local err = refusal("-ERR cannot do WORDS here\r\n", opts)
      assert.equal("ERR", err.code)
      assert(not tostring(err):find("hunter2", 1, true), tostring(err))
      assert(err.message:find("repeats the password", 1, true), err.message)
      err = refusal("-WRONGPASS no hunter2\r\n", opts)
      assert.same({ "auth", "WRONGPASS" }, { err.kind, err.code })
      assert(not tostring(err):find("hunter2", 1, true), tostring(err))
      err = refusal("-hunter2\r\n", opts)
      assert(not (tostring(err) .. err.code):find("hunter2", 1, true), tostring(err))
    end
  end)

  --- A server that floods who subscribes; `before` goes before that.
  local function flooding(before, message)
    return redis.fake(function(conn)
      for words in redis.read_command, conn do
        if words[1] == "SUBSCRIBE" then
          conn:send(before)
          repeat until not conn:send(message:rep(#message < 100 and 20000 or 10))
          return
        end
        conn:send(words[1] == "PING" and "+PONG\r\n" or "-ERR no\r\n")
      end
    end)
  end

  it("subscribes at no server that sends messages instead of confirming", function()
    for _, message in ipairs { "x", ("x"):rep(100000) } do
      message = ("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$%d\r\n%s\r\n"):format(#message, message)
      local server <close> = flooding("", message)
      local r <close> = ml.redis.client(server.url)
      local ok, err = pcall(r.subscribe, r, "a")
      assert.same({ false, "redis", "REPLY" }, { ok, err.kind, err.code })
    end
  end)

  it("lets others have their turn among messages without end", function()
    local server <close> = flooding("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
      "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n")
    local r <close> = ml.redis.client(server.url)
    local taken, before, most = 0, 0, 0
    local other = ml.spawn(function()
      while true do
        ml.sleep(0)
        most, before = math.max(most, taken - before), taken
      end
    end)
    for _ in r:subscribe "a" do -- luacheck: ignore
      taken = taken + 1
      if taken == 100000 then break end
    end
    other:cancel()
    assert.is_true(most <= 2000, most .. " in a pass")
  end)

  it("drops the reply of a cancelled command, and gives none to another task", function()
    local asked, go = ml.event(), ml.event()
    local server <close> = redis.fake(function(conn)
      for words in redis.read_command, conn do
        if words[2] == "slow" then
          asked:set()
          go:wait()
        end
        conn:send(("$%d\r\n%s\r\n"):format(#words[2], words[2]))
      end
    end)
    local r <close> = ml.redis.client(server.url)
    local slow = ml.spawn(function() return r:get "slow" end)
    asked:wait()
    assert.equal("redis GET", waits_for(slow))
    local others = {}
    for i = 1, 20 do others[i] = ml.spawn(function() return r:get("k" .. i) end) end
    ml.sleep(0)
    slow:cancel()
    others[3]:cancel()
    ml.wait { slow, others[3] }
    go:set()
    for i = 1, 20 do
      if i ~= 3 then assert.equal("k" .. i, others[i]:await()) end
    end
    assert.equal("after", r:get "after")
    assert.equal(1, server.connections)
  end)

  it("does not send a command that was cancelled before it was written", function()
    local seen = {}
    local server <close> = redis.fake(redis.answering(function(words)
      seen[#seen + 1] = words[2]
      return "+OK\r\n"
    end))
    local r <close> = ml.redis.client(server.url)
    r:get "first"
    local a, b
    a = ml.spawn(function() return r:get "a" end)
    local killer = ml.spawn(function() a:cancel() end)
    b = ml.spawn(function() return r:get "b" end)
    ml.wait { a, killer, b }
    r:get "last"
    assert.same({ "first", "b", "last" }, seen)
  end)

  it("fails what was written when it is lost, and says that it may have been done", function()
    local server <close> = redis.fake(function(conn, n)
      if n == 1 then
        redis.read_command(conn)
        conn:reset()
      else
        redis.answering "+OK\r\n"(conn)
      end
    end)
    local r <close> = ml.redis.client(server.url)
    local value, err = r:incr "n"
    assert.is_nil(value)
    assert.equal("network", err.kind)
    assert.is_true(err.unknown)
    assert(err.message:find("INCR: the connection to redis://127.0.0.1", 1, true), err.message)
    assert.equal("OK", r:get "k")
    assert.equal(2, server.connections)
  end)

  it("never sends a command again that was written", function()
    local seen = {}
    local server <close> = redis.fake(function(conn)
      for words in redis.read_command, conn do
        seen[#seen + 1] = words[2]
        if words[2] == "cut" then return end
        conn:send "+OK\r\n"
      end
    end)
    local r <close> = ml.redis.client(server.url)
    local results = ml.gather({
      function() return r:get "one" end,
      function() return r:get "cut" end,
      function() return r:get "two" end,
    }, { return_errors = true })
    assert.equal("OK", results[1])
    assert.equal("network", results[2].kind)
    assert.equal("network", results[3].kind)
    assert.equal("OK", r:get "three")
    assert.same({ "one", "cut", "three" }, seen)
  end)

  it("waits for a server that is away, and goes on when it is there", function()
    local port
    do
      local listener <close> = rawtcp.listen()
      port = listener.port
    end
    local r <close> = ml.redis.client("redis://127.0.0.1:" .. port, { timeout = 60 })
    local waiting = ml.spawn(function() return r:get "k" end)
    redis.eventually("it does not say why it waits", function()
      return (waits_for(waiting) or ""):find("not connected: connection refused", 1, true)
    end)
    local listener <close> = rawtcp.listen(16, port)
    local conn <close> = listener:accept()
    redis.read_command(conn)
    conn:send "%0\r\n"
    assert.same({ "GET", "k" }, redis.read_command(conn))
    conn:send "+there\r\n"
    assert.equal("there", waiting:await())
  end)

  it("says after the timeout what is wrong with the connection", function()
    local r <close> = ml.redis.client("redis://127.0.0.1:1", { timeout = 1 })
    local _, err = r:get "k"
    assert.equal("network", err.kind)
    assert.equal("ECONNREFUSED", err.code)
    assert(err.message:find("GET: no connection to redis://127.0.0.1:1 within 1 s: connection refused", 1, true),
      err.message)
    assert.is_nil(err.unknown)
  end)

  it("takes no more than offline_queue commands while the server is away", function()
    local r <close> = ml.redis.client("redis://127.0.0.1:1", { timeout = 60, offline_queue = 2 })
    local a, b = ml.spawn(function() return r:get "a" end), ml.spawn(function() return r:get "b" end)
    redis.eventually("it has not failed yet", function() return (waits_for(a) or ""):find "refused" end)
    local _, err = r:get "c"
    assert.equal("busy", err.kind)
    assert(err.message:find("2 commands already wait", 1, true), err.message)
    a:cancel()
    b:cancel()
    ml.wait { a, b }
  end)

  it("ends the wait of a command that gets no reply, and closes a connection that says nothing", function()
    local server <close> = redis.fake(function(conn, n)
      if n > 1 then return redis.answering "+OK\r\n"(conn) end
      while redis.read_command(conn) do end
    end)
    local r <close> = ml.redis.client(server.url, { timeout = 1 })
    local _, err = r:get "k"
    assert.equal("timeout", err.kind)
    assert.is_true(err.unknown)
    assert.equal("OK", redis.eventually("it is not connected anew", function() return (r:get "k") end))
    assert.equal(2, server.connections)
  end)

  it("gives a blocking command up that a frozen server does not answer in its time", function()
    local closed = ml.event()
    local server <close> = redis.fake(function(conn)
      while redis.read_command(conn) do end
      closed:set()
    end)
    local r <close> = ml.redis.client(server.url, { timeout = 0.5 })
    for _, f in ipairs {
      function() return r:blpop("q", 0.05) end,
      function() return r:blmpop(0.05, 1, "q", "LEFT") end,
      function() return r:xread("BLOCK", 50, "STREAMS", "s", "$") end,
      function() return r:wait(1, 50) end,
    } do
      closed:clear()
      local value, err = f()
      assert.is_nil(value)
      assert.equal("timeout", err.kind)
      assert.is_true(err.unknown)
      assert(err.message:find("no reply within 0.55 s, although its own limit is 0.05 s", 1, true), err.message)
      closed:wait() -- the connection is not used again
    end
    assert.is_nil((ml.timeout(0.3, r.blpop, r, "q", 0))) -- for ever
  end)

  it("lets a deadline end the wait", function()
    local r <close> = ml.redis.client("redis://127.0.0.1:1", { timeout = 60 })
    local value, err = ml.timeout(0.05, r.get, r, "k")
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
  end)

  it("waits while the server loads its data, and while it has too many clients", function()
    local answers = { "-LOADING Redis is loading the dataset in memory\r\n", "-ERR max number of clients reached\r\n",
      "%0\r\n" }
    local n = 0
    local server <close> = redis.fake(redis.answering "+OK\r\n", function(conn)
      n = n + 1
      conn:send(answers[n])
    end)
    local r <close> = ml.redis.client(server.url)
    assert.equal("OK", r:get "k")
    assert.equal(3, server.connections)
  end)

  it("speaks RESP2 with a server that does not know HELLO", function()
    local seen = {}
    local server <close> = redis.fake(redis.answering(function(words)
      seen[#seen + 1] = table.concat(words, " ")
      return "+OK\r\n"
    end), function(conn) conn:send "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n" end)
    local r <close> = ml.redis.client(server.url, { password = "p w", database = 2, name = "me" })
    assert.equal("OK", r:get "k")
    assert.same({ "AUTH p w", "CLIENT SETNAME me", "SELECT 2", "GET k" }, seen)
  end)

  it("tells a server of another sort", function()
    local listener <close> = rawtcp.listen()
    local task = ml.spawn(function()
      while true do
        local conn <close> = listener:accept()
        conn:receive "\r\n"
        conn:send "HTTP/1.1 400 Bad Request\r\n\r\n"
      end
    end)
    local r <close> = ml.redis.client("redis://127.0.0.1:" .. listener.port, { timeout = 2 })
    local _, err = r:get "k"
    assert.equal("network", err.kind)
    assert(err.message:find("not valid Redis protocol", 1, true), err.message)
    task:cancel()
  end)

  it("writes what a pass asks for at once", function()
    local pieces = {}
    local server <close> = redis.fake(function(conn)
      pieces[1] = conn:receive(nil, 60)
      conn:send(("+OK\r\n"):rep(50))
      conn:receive(nil, 60)
    end)
    local r <close> = ml.redis.client(server.url)
    local list = {}
    for i = 1, 50 do list[i] = { r.get, r, "k" .. i } end
    ml.gather(list, {})
    assert.equal(50, select(2, pieces[1]:gsub("GET", "")))
  end)
end)

local missing = redis.missing()

describe("a Redis client and a real server", function()
  if missing then
    it("needs a server", function() pending(missing) end)
    return
  end
  local server
  setup(function() server = redis.start() end)
  teardown(function() server:close() end)

  it("go on after CLIENT KILL, a restart and a stop", function()
    local r <close> = server:client { tcp = true, timeout = 100 }
    assert(r:set("k", "v"))
    local admin <close> = server:client()
    admin:client("KILL", "TYPE", "normal", "SKIPME", "yes")
    redis.eventually("it does not come back", function() return r:get "k" == "v" end)
    server:kill "STOP"
    local frozen = ml.spawn(function() return r:get "k" end)
    assert.is_nil((ml.timeout(0.05, frozen.await, frozen)))
    server:kill "CONT"
    assert.equal("v", frozen:await())
    server:stop()
    local waiting = ml.spawn(function() return r:ping() end)
    server:start()
    local pong, err = waiting:await()
    assert(pong == "PONG" or err.kind == "network", tostring(err))
    assert.equal("PONG", r:ping())
  end)

  it("are not too late where the loop stood still before or after a command was asked for", function()
    local r <close> = server:client { timeout = 2 }
    os.execute "sleep 2.3"
    assert.equal("PONG", assert(r:ping()))
    local asked = ml.spawn(function() return assert(r:ping()) end)
    for _ = 1, 2 do ml.sleep(0) end -- it is sent at the end of a pass
    os.execute "sleep 2.3"
    assert.equal("PONG", asked:await())
  end)

  it("find each task's reply through cuts, resets, delays and single bytes, with cancels", function()
    local proxy <close> = redis.proxy(server.port)
    local r <close> = ml.redis.client(proxy.url, { timeout = 60 })
    proxy:harass { cut = 0.01, bytes = 0.09, delays = 0.02, delay = 0.001 }
    local wrong, done, cancelled, lost = 0, 0, 0, 0
    local function worker(w)
      for i = 1, 100 do
        local text = w .. ":" .. i
        local value, err = r:echo(text)
        if err then
          lost = lost + 1
          assert(err.kind == "network", tostring(err))
        elseif value == text then
          done = done + 1
        else
          wrong = wrong + 1
        end
      end
    end
    local tasks = {}
    for w = 1, 32 do tasks[w] = ml.spawn(worker, w) end
    local killer = ml.spawn(function()
      for w = 1, 16 do
        ml.sleep(math.random() / 100)
        if tasks[w]:cancel() then cancelled = cancelled + 1 end
      end
    end)
    ml.wait(tasks)
    killer:await()
    assert.equal(0, wrong)
    assert(done > 0)
    for w = 17, 32 do assert.equal("done", tasks[w]:status()) end
  end)

  it("give no answer to the wrong task in 10,000 cancels at any moment", function()
    local r <close> = server:client()
    local checked, cancelled = 0, 0
    local function one(text)
      local kind = math.random(4)
      local value
      if kind == 1 then
        value = r:pipeline(function(p)
          p:echo "x"
          p:echo(text)
        end)[2]
      elseif kind == 2 then
        value = r:multi(function(m) m:echo(text) end)[1]
      else
        value = r:echo(text)
      end
      assert.equal(text, value)
      checked = checked + 1
    end
    local n = 0
    while cancelled < 10000 do
      local tasks = {}
      for i = 1, 100 do
        n = n + 1
        tasks[i] = ml.spawn(one, "text " .. n)
      end
      for _ = 1, math.random(0, 3) do ml.sleep(0) end
      for i = 1, 100 do
        if math.random(4) > 1 and tasks[i]:cancel() then cancelled = cancelled + 1 end
      end
      ml.wait(tasks)
      for i = 1, 100 do assert.not_equal("failed", tasks[i]:status()) end
    end
    one "last"
    assert(checked > 1000)
    assert.equal(1, select(2, require "moonloop.redis.core".state(r)))
  end)
end)
