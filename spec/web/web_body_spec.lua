-- Request bodies that come while the handler runs.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local support = require "spec.support.web"

local rawtcp, request = common.rawtcp, support.request

-- Serves POST / by `handler` (with the route's options) while f(conn, port, server) runs with a
-- connection to it.
local function serving(handler, f, opts, listen)
  local app = web.app()
  app:post("/", opts or {}, handler)
  app:get("/after", function() return "after" end)
  support.serving(app, function(port, server)
    local conn <close> = assert(rawtcp.connect(port))
    f(conn, port, server)
  end, listen)
end

local function head(length, headers)
  local framing = length and "Content-Length: " .. length .. "\r\n" or "Transfer-Encoding: chunked\r\n"
  return request("POST", "/", framing .. (headers or ""))
end

-- The next request on the connection is answered.
local function is_kept(conn)
  conn:send(request("GET", "/after"))
  assert.equal("after", support.receive(conn).body)
end

local function is_closed(conn, res)
  assert.equal("close", res.headers.connection)
  assert.equal("", conn:receive("*a"))
end

describe("a handler", function()
  it("starts when the head has arrived, and waits for the body when it asks for it", function()
    local started = ml.event()
    serving(function(req)
      assert.equal("10", req.headers["content-length"])
      started:set()
      return req.body
    end, function(conn)
      conn:send(head(10))
      started:wait()
      conn:send("01234")
      conn:send("56789")
      assert.equal("0123456789", support.receive(conn).body)
      is_kept(conn)
    end)
  end)
  it("that asks for JSON waits for it too", function()
    local gate = ml.event()
    serving(function(req)
      gate:set()
      local value, err = req:json { raise = false }
      return value or { error = err.kind }
    end, function(conn)
      for _, case in ipairs { { '{"a":', '1}', '{"a":1}' }, { '{"a":', '1', '{"error":"json"}' } } do
        gate = ml.event()
        conn:send(head(#case[1] + #case[2]) .. case[1])
        gate:wait()
        conn:send(case[2])
        assert.equal(case[3], support.receive(conn).body)
      end
    end)
  end)
  it("gets the body again when it asks again", function()
    serving(function(req) return req.body .. req.body .. req:json() end, function(conn)
      conn:send(head(2))
      conn:send("12")
      assert.equal("121212", support.receive(conn).body)
    end)
  end)
  it("may read the body in a child, under pcall, in a coroutine or a metamethod", function()
    serving(function(req)
      return ml.spawn(function()
        local lazy = setmetatable({}, { __index = function(_, key) return req[key] end })
        return coroutine.wrap(function() return select(2, pcall(function() return lazy.body end)) end)()
      end):await()
    end, function(conn)
      conn:send(head(2))
      conn:send("12")
      assert.equal("12", support.receive(conn).body)
    end)
  end)
  it("gets an error where it cannot wait for the body", function()
    serving(function(req)
      local _, err = pcall(table.sort, { 2, 1, 3 }, function() return req.body == "" end)
      return tostring(err) .. req.body
    end, function(conn)
      conn:send(head(2))
      conn:send("12")
      assert.matches("req.body.*sort.*12$", support.receive(conn).body)
    end)
  end)
  it("whose route is offloaded has the whole body on the other core", function()
    serving(function(req)
      local parts = {}
      for chunk in req:chunks() do parts[#parts + 1] = chunk end
      return table.concat(parts) .. #parts
    end, function(conn)
      conn:send(head(4))
      conn:send("12")
      conn:send("34")
      assert.equal("12341", support.receive(conn).body)
    end, { offload = true })
  end)
end)

describe("chunks", function()
  it("come as the client sends them", function()
    local got = ml.queue()
    serving(function(req)
      for chunk in req:chunks() do got:put(chunk) end
      got:put("end")
    end, function(conn)
      conn:send(head())
      for _, text in ipairs { "one", "two", "three" } do
        conn:send(("%x\r\n%s\r\n"):format(#text, text))
        assert.equal(text, got:get())
      end
      conn:send("0\r\n\r\n")
      assert.equal("end", got:get())
      assert.equal(204, support.receive(conn).status)
      is_kept(conn)
    end)
  end)
  it("are one if the body came with the head, and none if there is no body", function()
    serving(function(req)
      local parts = {}
      for chunk in req:chunks() do parts[#parts + 1] = chunk end
      return ml.json.array(parts)
    end, function(conn)
      conn:send(head(3) .. "abc")
      assert.equal('["abc"]', support.receive(conn).body)
      conn:send(head(0))
      assert.equal("[]", support.receive(conn).body)
    end)
  end)
  it("can be continued by another loop", function()
    local first = ml.event()
    serving(function(req)
      local it, state = req:chunks()
      local text = it(state)
      first:set()
      for chunk in req:chunks() do text = text .. chunk end
      return text
    end, function(conn)
      conn:send(head(6) .. "abc")
      first:wait()
      conn:send("def")
      assert.equal("abcdef", support.receive(conn).body)
    end)
  end)
  it("replace the body: asking for it afterwards is an error", function()
    for _, body in ipairs { "abc", "" } do
      serving(function(req)
        local it, state = req:chunks()
        local _, err = pcall(function() return req.body end)
        local _, err2 = pcall(req.json, req)
        while it(state) do end
        return tostring(err) .. tostring(err2)
      end, function(conn)
        conn:send(head(3) .. body)
        if body == "" then conn:send("abc") end
        local text = support.receive(conn).body
        assert.matches("req.body: the body was already taken by req:chunks()", text, 1, true)
        assert.matches("req:json: the body was already taken by req:chunks()", text, 1, true)
      end)
    end
  end)
  it("of a body that has been read give it in one piece", function()
    serving(function(req)
      local text = req.body
      for chunk in req:chunks() do text = text .. chunk end
      return text
    end, function(conn)
      conn:send(head(3))
      conn:send("abc")
      assert.equal("abcabc", support.receive(conn).body)
    end)
  end)
  it("have one reader at a time", function()
    local refused = ml.event()
    serving(function(req)
      local reader = ml.spawn(function() return req.body end)
      ml.sleep(0)
      local _, err = pcall(function() return req.body end)
      refused:set()
      return tostring(err) .. reader:await()
    end, function(conn)
      conn:send(head(3))
      refused:wait()
      conn:send("abc")
      assert.matches("req.body: another task is reading the bodyabc$", support.receive(conn).body)
    end)
  end)
  it("can be continued after an interrupted wait", function()
    local interrupted = ml.event()
    serving(function(req)
      local _, err = ml.timeout(0.02, function() return req.body end)
      interrupted:set()
      local text = err.kind
      for chunk in req:chunks() do text = text .. chunk end
      return text
    end, function(conn)
      conn:send(head(6) .. "abc")
      interrupted:wait()
      conn:send("def")
      assert.equal("timeoutabcdef", support.receive(conn).body)
    end)
  end)
  it("of one request can be the response to it, at the same time", function()
    serving(function(req)
      return web.response { stream = function(out)
        for chunk in req:chunks() do out:write(chunk:upper()) end
      end }
    end, function(conn)
      conn:send(head())
      for _, text in ipairs { "one", "two" } do
        conn:send(("%x\r\n%s\r\n"):format(#text, text))
        assert(conn:receive(text:upper() .. "\r\n"))
      end
      conn:send("0\r\n\r\n" .. request("GET", "/after"))
      assert.equal("0\r\n\r\n", conn:receive(5))
      assert.equal("after", support.receive(conn).body)
    end)
  end)
end)

describe("a client that sends faster than the handler reads", function()
  it("is held back", function()
    local total = 50 * 1024 * 1024
    local gate, count = ml.event(), 0
    serving(function(req)
      gate:wait()
      collectgarbage()
      for chunk in req:chunks() do
        assert(#chunk <= 256 * 1024)
        count = count + #chunk
      end
      return tostring(count)
    end, function(conn)
      local sent = false
      local sender = ml.spawn(function()
        conn:send(head(total))
        conn:send(common.xs(total))
        sent = true
      end)
      for _ = 1, 20 do ml.sleep(0.01) end
      assert.is_false(sent)
      gate:set()
      assert.equal(tostring(total), support.receive(conn).body)
      sender:await()
      is_kept(conn)
    end, { max_body = total })
  end)
  it("is not held back if the whole body is asked for", function()
    local total = 5 * 1024 * 1024
    serving(function(req) return tostring(#req.body) end, function(conn)
      conn:send(head(total))
      conn:send(common.xs(total))
      assert.equal(tostring(total), support.receive(conn).body)
    end, { max_body = total })
  end)
  it("is not blamed for the handler's time", function()
    serving(function(req)
      ml.sleep(2.5)
      local n = 0
      for chunk in req:chunks() do n = n + #chunk end
      return tostring(n)
    end, function(conn)
      local sender = ml.spawn(function() conn:send(head(3000000) .. common.xs(3000000)) end)
      assert.equal("3000000", support.receive(conn).body)
      sender:await()
    end, nil, { body_timeout = 2 })
  end)
end)

-- What comes fast is read to where the body is kept.
describe("a large body", function()
  local parts = {}
  for i = 1, 200 do parts[i] = ("%d,"):format(i):rep(20000):sub(1, 1 + i * 7919 % 50000) end
  local body = table.concat(parts)
  local function in_chunks()
    local lines = {}
    for i, part in ipairs(parts) do lines[i] = ("%x\r\n%s\r\n"):format(#part, part) end
    return table.concat(lines) .. "0\r\n\r\n"
  end
  for name, handler in pairs {
    ["in pieces"] = function(req)
      local got = {}
      for chunk in req:chunks() do got[#got + 1] = chunk end
      return table.concat(got)
    end,
    ["in one piece"] = function(req) return req.body end,
    ["in pieces, late"] = function(req)
      local got = {}
      for chunk in req:chunks() do
        got[#got + 1] = chunk
        if #got % 10 == 0 then ml.sleep(0.001) end
      end
      return table.concat(got)
    end,
  } do
    it("is read " .. name .. ", whole and in order, however it is framed", function()
      serving(handler, function(conn)
        local sender = ml.spawn(function()
          conn:send(head(#body) .. body .. head() .. in_chunks() .. request("GET", "/after"))
        end)
        assert.is_true(support.receive(conn).body == body)
        assert.is_true(support.receive(conn).body == body)
        assert.equal("after", support.receive(conn).body)
        sender:await()
      end, { max_body = #body })
    end)
  end
end)

describe("a body that goes wrong under way", function()
  local cases = {
    { 400, "malformed chunk", "zz\r\n" },
    { 413, "Content Too Large", "b\r\nabcdefghijk\r\n" },
    { 408, "Request Timeout", "" },
  }
  for _, case in ipairs(cases) do
    local status, detail, rest = table.unpack(case)
    it("is an error of status " .. status .. " at the reader, and the answer closes the connection", function()
      for _, read in ipairs {
        function(req) return req.body end,
        function(req) return req:json() end,
        function(req) for _ in req:chunks() do end end,
      } do
        local seen
        serving(function(req)
          local ok, err = pcall(read, req)
          assert(not ok)
          seen = err
          error(err, 0)
        end, function(conn)
          conn:send(head() .. "1\r\na\r\n")
          ml.sleep(0.02)
          conn:send(rest)
          local res = support.receive(conn)
          assert.equal(status, res.status)
          assert.equal(('{"detail":"%s"}'):format(detail), res.body)
          is_closed(conn, res)
        end, { max_body = 10 }, { body_timeout = status == 408 and 0.5 or 100 })
        assert.equal("http", seen.kind)
        assert.equal(status, seen.status)
      end
    end)
  end
  it("closes the connection even if the handler ignores it", function()
    local failed = ml.event()
    serving(function(req)
      assert(not pcall(function() return req.body end))
      failed:set()
      return "anyway"
    end, function(conn)
      conn:send(head() .. "1\r\na\r\n")
      conn:send("zz\r\n")
      local res = support.receive(conn)
      assert.equal("anyway", res.body)
      is_closed(conn, res)
    end)
  end)
  it("cuts off a response that has begun", function()
    local output = support.run [[
      local app = web.app()
      app:post("/", function(req)
        return web.response { stream = function(out)
          for chunk in req:chunks() do out:write(chunk) end
        end }
      end)
      support.serving(app, function(port)
        local conn <close> = assert(rawtcp.connect(port))
        conn:send(support.request("POST", "/", "Transfer-Encoding: chunked\r\n") .. "1\r\na\r\n")
        assert(conn:receive("1\r\na\r\n"))
        conn:send("zz\r\n")
        print("the rest:", #(conn:receive("*a") or ""))
      end)
    ]]
    assert.matches("the rest:\t0\n", output)
    assert.matches("400 malformed chunk\nstack traceback", output)
  end)
  it("is refused before the handler if its length says so", function()
    local called = false
    serving(function() called = true end, function(conn)
      conn:send(head(11))
      local res = support.receive(conn)
      assert.equal(413, res.status)
      is_closed(conn, res)
    end, { max_body = 10 })
    assert.is_false(called)
  end)
end)

describe("a client that expects 100 Continue", function()
  local expect = "Expect: 100-continue\r\n"
  it("is told so when the handler asks for the body", function()
    local gate = ml.event()
    serving(function(req)
      gate:wait()
      return req.body
    end, function(conn)
      conn:send(head(3, expect))
      assert.equal("timeout", select(2, conn:receive(1, 0.05)))
      gate:set()
      assert.equal("HTTP/1.1 100 Continue\r\n\r\n", conn:receive("\r\n\r\n"))
      conn:send("abc")
      assert.equal("abc", support.receive(conn).body)
      is_kept(conn)
    end)
  end)
  it("gets the answer instead if nobody asks, and the connection closes", function()
    serving(function() return "no" end, function(conn)
      conn:send(head(3, expect))
      local res = support.receive(conn)
      assert.equal("no", res.body)
      is_closed(conn, res)
    end)
  end)
  it("is not told when it sends without waiting", function()
    serving(function(req) return req.body end, function(conn)
      conn:send(head(3, expect) .. "a")
      ml.sleep(0.02)
      conn:send("bc")
      assert.equal("abc", support.receive(conn).body)
    end)
  end)
end)

describe("a client that goes away in the middle of its body", function()
  it("cancels the handler and its children, by an end or a reset", function()
    for _, how in ipairs { "shutdown", "reset", "close" } do
      local reasons = {}
      local function note(f)
        local ok, err = ml.catch(f)
        reasons[#reasons + 1] = not ok and err.reason
        if not ok then error(err, 0) end
      end
      serving(function(req)
        ml.spawn(note, function() ml.sleep(60) end)
        note(function() return req.body end)
      end, function(conn)
        conn:send(head(10) .. "abc")
        ml.sleep(0.02)
        conn[how](conn)
        while #reasons < 2 do ml.sleep(0.01) end
      end)
      assert.same({ "client disconnected", "client disconnected" }, reasons)
    end
  end)
  it("is noticed while neither the body nor the requests after it are read", function()
    for _, case in ipairs { head(200000) .. ("x"):rep(120000), -- 64 kB are taken, the rest waits
      request("POST", "/", "Content-Length: 0\r\n") .. ("GET /after HTTP/1.1\r\nHost: h\r\n\r\n"):rep(4000) } do
      for _, how in ipairs { "close", "shutdown" } do
        local started, reason = ml.event(), nil
        serving(function()
          started:set()
          local _, err = ml.catch(ml.sleep, 60)
          reason = err.reason
          error(err, 0)
        end, function(conn)
          conn:send(case)
          started:wait()
          conn[how](conn)
          while not reason do ml.sleep(0.01) end
        end, nil, { write_timeout = 0.1 }) -- and so often the server looks
        assert.equal("client disconnected", reason)
      end
    end
  end)
  it("is reported to a reader that a shield protects from the cancel", function()
    local why
    serving(function(req)
      ml.shield(function()
        local _, err = pcall(function() return req.body end)
        why = err
      end)
    end, function(conn)
      conn:send(head(10) .. "abc")
      ml.sleep(0.02)
      conn:close()
      while not why do ml.sleep(0.01) end
    end)
    assert.equal("closed", why.kind)
    assert.equal("req.body: the request is over, and its body was not read", why.message)
  end)
end)

describe("a body that nobody has read when the answer is given", function()
  it("is discarded if little of it is left, and the connection is kept", function()
    serving(function() return "early" end, function(conn)
      conn:send(head(60000) .. "abc")
      local res = support.receive(conn)
      assert.equal("early", res.body)
      assert.is_nil(res.headers.connection)
      conn:send(("x"):rep(59997))
      is_kept(conn)
      conn:send(head(10))
      assert.equal("early", support.receive(conn).body)
      conn:send("0123456789" .. request("GET", "/after"))
      assert.equal("after", support.receive(conn).body)
    end)
  end)
  it("closes the connection if it is long or of unknown length, and the answer can be read", function()
    for _, length in ipairs { 5000000, false } do
      serving(function() return "early" end, function(conn)
        conn:send(head(length))
        ml.sleep(0.02)
        conn:send(("1\r\na\r\n"):rep(20000))
        local res = support.receive(conn)
        assert.equal("early", res.body)
        is_closed(conn, res)
      end)
    end
  end)
  it("is handled the same for a path without a route", function()
    serving(print, function(conn)
      conn:send(request("POST", "/nowhere", "Content-Length: 10\r\n"))
      assert.equal(404, support.receive(conn).status)
      conn:send("0123456789")
      is_kept(conn)
      conn:send(request("POST", "/nowhere", "Content-Length: 5000000\r\n"))
      is_closed(conn, support.receive(conn))
    end)
  end)
  it("is handled the same after a streamed response", function()
    serving(function()
      return web.response { stream = function(out) out:write("early") end }
    end, function(conn)
      conn:send(head(10))
      local res = support.receive(conn)
      assert.equal("early", res.body)
      conn:send("0123456789")
      is_kept(conn)
      conn:send(head(5000000))
      assert.equal("early", support.receive(conn).body)
      assert.equal("", conn:receive("*a"))
    end)
  end)
  it("ends silently if the rest is malformed, or does not come", function()
    for _, rest in ipairs { "", "abc" } do
      serving(function() return "early" end, function(conn)
        conn:send(head(10))
        assert.equal("early", support.receive(conn).body)
        conn:send(rest)
        assert.equal("", conn:receive("*a"))
      end, nil, { body_timeout = 0.1 })
    end
  end)
  it("can no longer be read by a task that outlives the handler", function()
    local answered, why = ml.event(), nil
    serving(function(req)
      ml.spawn(function()
        answered:wait()
        local _, err = pcall(function() return req.body end)
        local _, err2 = pcall(req:chunks())
        why = { err, err2 }
      end)
      return "early"
    end, function(conn)
      conn:send(head(10))
      assert.equal("early", support.receive(conn).body)
      answered:set()
      while not why do ml.sleep(0.01) end
    end)
    assert.equal("closed", why[1].kind)
  end)
end)

describe("requests after a body", function()
  it("wait until it is read and answered", function()
    serving(function(req)
      local n = 0
      for chunk in req:chunks() do n = n + #chunk end
      return tostring(n)
    end, function(conn)
      conn:send(head(100000))
      conn:send(("x"):rep(100000) .. request("GET", "/after") .. head(3) .. "abc")
      assert.equal("100000", support.receive(conn).body)
      assert.equal("after", support.receive(conn).body)
      assert.equal("3", support.receive(conn).body)
    end)
  end)
end)
