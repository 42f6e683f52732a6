-- Many exchanges on one connection of HTTP/2: who gets a stream, what ends it, who is held up; with a server of the
-- specs that decides on every frame.
local http = require "spec.support.http"
local http2 = require "spec.support.http2_frames"
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp

local assert_error, eventually = http.assert_error, require("spec.support.servers").eventually
local frame, headers, ok = http2.frame, http2.headers, http2.ok

describe("exchanges of HTTP/2", { timeout = 100 }, function()
  local client, conns

  before_each(function()
    client = ml.http.client { http2 = "clear", timeout = 60 }
    conns = {}
  end)

  after_each(function()
    client:close()
    http.stop()
  end)

  --- A server that calls `answer(conn, id, count)` with each request, of which it has had `count`; `conns` has the
  -- connections with requests.
  local function serve(answer, settings)
    local count = 0
    return http2.serve(function(conn, id)
      conns[conn.n] = conn
      count = count + 1
      return answer(conn, id, count)
    end, settings)
  end

  --- The first frame of this type that the server has had on connection `n`, of the stream `id` if one is given.
  local function find(n, type, id)
    for _, each in ipairs(conns[n] and conns[n].frames or {}) do
      if each.type == type and (not id or each.id == id) then return each end
    end
  end

  local function wait_for(n, type, id)
    return eventually(60, ("no frame of type %d on connection %d"):format(type, n), function()
      return find(n, type, id)
    end)
  end

  local function gets(url, n)
    local tasks = {}
    for i = 1, n do tasks[i] = ml.spawn(function() return client:get(url) end) end
    return tasks
  end

  it("share a connection, also one that is still being made", function()
    local waiting = {}
    local server = serve(function(conn, id, count)
      waiting[count] = { conn, id }
      if count < 100 then return end
      for i = 100, 1, -1 do waiting[i][1]:send(ok(waiting[i][2], "answer to " .. waiting[i][2])) end
    end)
    for i, task in ipairs(gets(server.url, 100)) do
      assert.equal("answer to " .. 2 * i - 1, assert(task:await()).body)
    end
    assert.equal(1, server.connections)
  end)

  it("take turns where the server allows few streams", function()
    client:close()
    client = ml.http.client { http2 = "clear", max_per_origin = 1, timeout = 60 }
    local open, most = 0, 0
    local server = serve(function(conn, id, count)
      if count == 1 then return conn:send(ok(id, "first")) and nil end
      open = open + 1
      most = math.max(most, open)
      ml.spawn(function()
        ml.sleep(0.001)
        open = open - 1
        conn:send(ok(id, "late"))
      end)
    end, { [3] = 2 })
    assert(client:get(server.url))
    for _, task in ipairs(gets(server.url, 20)) do assert.equal("late", assert(task:await()).body) end
    assert.equal(2, most)
    assert.equal(1, server.connections)
  end)

  it("open another connection where one is full", function()
    local waiting = {}
    local server = serve(function(conn, id, count)
      if count == 1 then return conn:send(ok(id, "first")) and nil end
      waiting[#waiting + 1] = { conn, id }
      if #waiting == 5 then
        for _, each in ipairs(waiting) do each[1]:send(ok(each[2], "all")) end
      end
    end, { [3] = 2 })
    assert(client:get(server.url))
    for _, task in ipairs(gets(server.url, 5)) do assert.equal("all", assert(task:await()).body) end
    assert.equal(2, server.connections)
  end)

  it("that are cancelled end alone: the server is told, and the others go on", function()
    local server = serve(function(conn, id, count) if count > 2 then conn:send(ok(id, "third")) end end)
    local tasks = gets(server.url, 2)
    wait_for(1, http2.HEADERS, 3)
    tasks[1]:cancel()
    assert.equal("\0\0\0\8", wait_for(1, http2.RST_STREAM, 1).payload)
    assert.equal("third", assert(client:get(server.url)).body)
    conns[1]:send(ok(3, "second") .. ok(1, "nobody wants it"))
    assert.equal("second", assert(tasks[2]:await()).body)
    assert.equal("third", assert(client:get(server.url)).body)
    assert.equal(1, server.connections)
  end)

  it("that time out end alone, too, where the server says something to others", function()
    local server = serve(function(conn, id, count) if count > 1 then conn:send(ok(id, "good")) end end)
    local late = ml.spawn(function() return client:get(server.url, { timeout = 0.2 }) end)
    wait_for(1, http2.HEADERS, 1)
    assert.equal("good", assert(client:get(server.url)).body)
    assert_error("timeout", "TIMED_OUT", late:await())
    wait_for(1, http2.RST_STREAM, 1)
    assert.equal("good", assert(client:get(server.url)).body)
    assert.is_nil(find(1, http2.PING))
    assert.equal(1, server.connections)
  end)

  it("avoid a connection whose server says nothing any more; it is asked, and used again if it answers", function()
    local server
    server = serve(function(conn, id)
      conn.silent = conn.n == 1
      if conn.n > 1 then conn:send(ok(id, "second")) end
    end)
    local waits = ml.spawn(function() return client:get(server.url) end)
    wait_for(1, http2.HEADERS, 1)
    assert_error("timeout", "TIMED_OUT", client:get(server.url, { timeout = 0.05 }))
    wait_for(1, http2.PING)
    assert.equal("second", assert(client:get(server.url)).body)
    assert.equal(2, server.connections)
    conns[1]:send(frame(http2.PING, http2.ACK, 0, wait_for(1, http2.PING).payload) .. ok(1, "after all"))
    assert.equal("after all", assert(waits:await()).body)
  end)

  it("give the connection that is being made to the next one when the first is cancelled; its failure is that of all",
    function()
      local listener <close> = rawtcp.listen()
      local url = ("https://127.0.0.1:%d/"):format(listener.port)
      local tasks = gets(url, 4)
      local conn <close> = listener:accept(60)
      conn:receive(1)
      tasks[1]:cancel()
      tasks[3]:cancel()
      ml.sleep(0)
      conn:close()
      local first = assert_error("tls", "HANDSHAKE", tasks[2]:await())
      local second = assert_error("tls", "HANDSHAKE", tasks[4]:await())
      assert.equal(first.message, second.message)
      assert.is_nil(listener:accept(0))
    end)

  it("are asked again on another connection if the server says in GOAWAY that it has not looked at them", function()
    local server = serve(function(conn, id)
      if conn.n > 1 then return conn:send(ok(id, "second connection")) and nil end
      if id == 5 then conn:send(http2.goaway(1) .. ok(1, "first connection")) end
    end)
    local tasks = gets(server.url, 2)
    tasks[3] = ml.spawn(function() return client:post(server.url, { body = "x" }) end)
    assert.equal("first connection", assert(tasks[1]:await()).body)
    assert.equal("second connection", assert(tasks[2]:await()).body)
    assert.equal("second connection", assert(tasks[3]:await()).body)
    assert.equal(2, server.connections)
    eventually(60, "the old connection is not closed", function() return server.open == 1 end)
  end)

  it("end on a connection that is being ended in order, and new ones take another", function()
    local server = serve(function(conn, id)
      if conn.n > 1 then return conn:send(ok(id, "second connection")) and nil end
      conn:send(http2.goaway(0x7fffffff) .. headers(id, { ":status", "200" }))
    end)
    local res = assert(client:get(server.url, { stream = true }))
    assert.equal("second connection", assert(client:get(server.url)).body)
    conns[1]:send(http2.goaway(1) .. frame(http2.DATA, http2.END_STREAM, 1, "to its end"))
    assert.equal("to its end", res.body)
    eventually(60, "the old connection is not closed", function() return server.open == 1 end)
  end)

  it("fail with the reason that the server gives for ending the connection", function()
    local server = serve(function(conn, id)
      conn:send(http2.goaway(id, 11))
      return false
    end)
    local err = assert_error("network", "HTTP2", client:get(server.url))
    assert.matches("the server ends the connection: ENHANCE_YOUR_CALM", err.message, 1, true)
  end)

  it("on a kept connection that breaks are sent again if they are idempotent and have got nothing, once", function()
    local server = serve(function(conn, id, count)
      if count == 1 then return conn:send(ok(id, "first")) and nil end
      if conn.n > 1 then return conn:send(ok(id, "again")) and nil end
      if count == 4 then
        conn:send(headers(3, { ":status", "200" }))
        return false
      end
    end)
    assert.equal("first", assert(client:get(server.url)).body)
    local tasks = gets(server.url, 2)
    tasks[3] = ml.spawn(function() return client:post(server.url, { body = "x" }) end)
    assert_error("network", "INCOMPLETE", tasks[1]:await())
    assert.equal("again", assert(tasks[2]:await()).body)
    assert_error("network", "NO_RESPONSE", tasks[3]:await())
    assert.equal(2, server.connections)
  end)

  it("go over HTTP/1.1 where the server asks for it", function()
    local over_2 = http2.talk(function(conn, each)
      if each.type == http2.HEADERS then conn:send(http2.reset(each.id, 13)) end
    end)
    local over_1 = http.answering(http.ok "by HTTP/1.1")
    local server = http.serve(function(conn, n) (n == 1 and over_2 or over_1)(conn, n) end)
    for _ = 1, 3 do assert.equal("by HTTP/1.1", assert(client:get(server.url)).body) end
    assert.equal(2, server.connections)
  end)

  it("whose reader is slow hold up their own stream alone", function()
    local server = serve(function(conn, id, count)
      if count > 1 then return conn:send(ok(id, "quick")) and nil end
      conn:send(headers(id, { ":status", "200" }) .. frame(http2.DATA, 0, id, ("x"):rep(16384)):rep(8))
    end)
    local res = assert(client:get(server.url, { stream = true }))
    assert.equal("quick", assert(client:get(server.url)).body)
    assert.is_nil(find(1, http2.WINDOW_UPDATE, 1))
    local size = 0
    while size < 131072 do size = size + #assert(res:read()) end
    wait_for(1, http2.WINDOW_UPDATE, 1)
    conns[1]:send(frame(http2.DATA, http2.END_STREAM, 1, "end"))
    assert.equal("end", res:read())
    assert.is_nil(res:read())
  end)

  it("may take a body of many megabytes together, of which the server waits for windows", function()
    local PIECE, PIECES = ("x"):rep(16384), 1000
    local windows, sent = { [0] = 65535 }, 0
    local server = http.serve(http2.talk(function(conn, each)
      if each.type == http2.HEADERS then
        windows[each.id] = 131072
        conn:send(headers(each.id, { ":status", "200" }))
      elseif each.type == http2.WINDOW_UPDATE then
        windows[each.id] = windows[each.id] + (">I4"):unpack(each.payload)
      end
      while windows[1] and windows[0] >= #PIECE and windows[1] >= #PIECE and sent < PIECES do
        sent = sent + 1
        windows[0], windows[1] = windows[0] - #PIECE, windows[1] - #PIECE
        conn:send(frame(http2.DATA, sent == PIECES and http2.END_STREAM or 0, 1, PIECE))
      end
    end))
    assert.equal(#PIECE * PIECES, #assert(client:get(server.url)).body)
  end)

  it("that are cancelled leave what is on its way to nobody, megabytes of it", function()
    local PIECE, WIDE = ("x"):rep(16384), 2 << 20
    local window, has_all = 131072, false
    local server = http.serve(http2.talk(function(conn, each)
      if each.type == http2.HEADERS and each.id > 1 then
        conn:send(ok(each.id, "good"))
      elseif each.type == http2.HEADERS then
        conn:send(headers(1, { ":status", "200" }) .. frame(http2.DATA, 0, 1, PIECE):rep(window // #PIECE))
      elseif each.type == http2.WINDOW_UPDATE and each.id == 1 and not has_all then
        window = window + (">I4"):unpack(each.payload)
        has_all = window >= WIDE
        if has_all then conn:send(frame(http2.DATA, 0, 1, PIECE):rep(WIDE // #PIECE - 8)) end
      end
    end))
    assert_error("http", "too_large", client:get(server.url, { max_body = 512 << 10 }))
    for _ = 1, 3 do assert.equal("good", assert(client:get(server.url)).body) end
    assert.equal(1, server.connections)
  end)

  it("send no more of a body than the server's window lets them, and hold up nobody else", function()
    local server = serve(function(conn, id, count) if count > 1 then conn:send(ok(id, "quick")) end end, { [4] = 0 })
    assert(client:get(server.url, { timeout = 0.2 }) == nil) -- its settings have come
    local made = 0
    local upload = ml.spawn(function()
      return client:put(server.url, { body = function()
        made = made + 1
        return made <= 40 and ("x"):rep(10000) or nil
      end })
    end)
    eventually(60, "nothing is made", function() return made > 0 end)
    for _ = 1, 10 do assert.equal("quick", assert(client:get(server.url)).body) end
    assert.is_true(made <= 8)
    local n = conns[2] and 2 or 1
    upload:cancel()
    assert.is_nil(find(n, http2.DATA))
  end)

  it("are kept for the next request, and closed with a word by the client", function()
    local server = serve(function(conn, id) conn:send(ok(id, "good")) end)
    for _ = 1, 5 do assert(client:get(server.url)) end
    assert.equal(1, server.connections)
    client:close()
    eventually(60, "the connection is not closed", function() return server.open == 0 end)
    assert.equal(("\0"):rep(8), find(1, http2.GOAWAY).payload)
  end)

  it("that are under way when the client is closed end in order", function()
    local server = serve(function() end)
    local tasks = gets(server.url, 2)
    wait_for(1, http2.HEADERS, 3)
    client:close()
    conns[1]:send(ok(3, "second") .. ok(1, "first"))
    assert.equal("first", assert(tasks[1]:await()).body)
    assert.equal("second", assert(tasks[2]:await()).body)
    eventually(60, "the connection is not closed", function() return server.open == 0 end)
  end)

  it("have the time of any request, and show what they wait for", function()
    local server = serve(function() end)
    local task = ml.spawn(function() return client:get(server.url .. "/private") end)
    wait_for(1, http2.HEADERS, 1)
    local dump = ml.dump()
    task:cancel()
    assert.matches("http request GET " .. server.url, dump, 1, true)
  end)
end)
