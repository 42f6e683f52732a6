-- Long bodies, which are sent from where they are.
local ml = require "moonloop"
local common = require "spec.support"
local support = require "spec.support.web"
local tls = require "spec.support.tls"
local web = require "moonloop.web"

local rawtcp, request = common.rawtcp, support.request

-- More than a socket takes at once, and every part of it different.
local COUNT <const> = 2000000
local function numbers(from)
  local list = {}
  for i = 1, COUNT / 1000 do list[i] = ("%07d,"):format(from + i):rep(1000) end
  return table.concat(list)
end
local LONG = numbers(0)

local function app()
  local made = web.app()
  made:get("/long", function() return LONG end)
  made:get("/response", function() return web.response { body = LONG, status = 201 } end)
  made:get("/json", function() return { text = LONG, n = 1 } end)
  made:get("/own", function(req) return numbers(tonumber(req.query.n)) end)
  made:get("/reset", function() return LONG, 205 end)
  made:get("/small", function() return "small" end)
  return made
end

describe("a long body", function()
  it("comes whole and in its place among pipelined responses", function()
    support.serving(app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      assert(conn:send(request("GET", "/small") .. request("GET", "/long") .. request("GET", "/small")
        .. request("GET", "/response") .. request("GET", "/json") .. request("GET", "/small")))
      assert.equal("small", support.receive(conn).body)
      assert.is_true(support.receive(conn).body == LONG)
      assert.equal("small", support.receive(conn).body)
      local res = support.receive(conn)
      assert.equal(201, res.status)
      assert.is_true(res.body == LONG)
      res = support.receive(conn)
      assert.equal("application/json", res.headers["content-type"])
      assert.is_true(ml.json.decode(res.body).text == LONG)
      assert.equal("small", support.receive(conn).body)
    end)
  end)

  it("is left out of the answer to HEAD, and of a 205", function()
    support.serving(app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      assert(conn:send(request("HEAD", "/long") .. request("GET", "/reset") .. request("GET", "/small")))
      assert.equal(tostring(#LONG), support.receive(conn, true).headers["content-length"])
      local res = support.receive(conn)
      assert.same({ 205, "0" }, { res.status, res.headers["content-length"] })
      assert.equal("small", support.receive(conn).body)
    end)
  end)

  it("outlives its handler and collections while a slow client takes it", function()
    support.serving(app(), function(port)
      local conns = {}
      for i = 1, 3 do
        conns[i] = assert(rawtcp.connect(port))
        assert(conns[i]:send(request("GET", "/own?n=" .. i)))
      end
      for i = 1, 3 do
        assert.equal("HTTP", conns[i]:receive(4)) -- it has begun, and its handler has ended
        collectgarbage()
      end
      for i = 1, 3 do
        assert(conns[i]:receive "\r\n\r\n")
        assert.is_true(conns[i]:receive(#LONG) == numbers(i))
        conns[i]:close()
      end
    end)
  end)

  it("is let go when the client goes in the middle of it, or the server stops", function()
    collectgarbage()
    local before = collectgarbage "count"
    for _, goes in ipairs { true, false } do
      local conns = {}
      support.serving(app(), function(port)
        for i = 1, 4 do
          conns[i] = assert(rawtcp.connect(port))
          assert(conns[i]:send(request("GET", "/own?n=" .. i)))
          assert.equal("HTTP", conns[i]:receive(4))
          if goes then conns[i]:reset() end
        end
      end)
      for i = 1, 4 do conns[i]:close() end
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < #LONG / 1024)
  end)

  it("comes through the client of the specs", function()
    local client <close> = web.test(app())
    assert.is_true(client:get("/json"):json().text == LONG)
  end)

  it("comes over TLS, to several clients at once, some of which are slow", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local made <close> = tls.certificates { one = {} }
    support.serving(app(), function(port)
      local client <close> = ml.http.client { base_url = "https://localhost:" .. port, ca = made.ca }
      ml.group(function(group)
        for i = 1, 2 do
          group:spawn(function()
            assert.is_true(assert(client:get("/own?n=" .. i)).body == numbers(i))
            assert.equal("small", assert(client:get("/small")).body)
          end)
          group:spawn(function()
            local s <close> = assert(ml.net.connect("localhost", port, { tls = { ca = made.ca } }))
            assert(s:write(request("GET", "/own?n=" .. i)))
            assert(s:read "l")
            for _ = 1, 50 do ml.sleep(0) end
            repeat local line = assert(s:read "L") until line == "\r\n"
            assert.is_true(s:read(#LONG) == numbers(i))
          end)
        end
      end)
    end, { tls = made.one })
  end)
end)
