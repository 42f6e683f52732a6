-- Dependencies of typed routes: they may read parts of req.valid, which are checked then.
local ml = require "moonloop"
local json = require "moonloop.json"
local support = require "spec.support.web"

local s, web = ml.schema, ml.web
local JSON = "Content-Type: application/json\r\n"

describe("req.valid in a dependency", function()
  --- The answer to a POST of `body` to an app whose route needs what `f` gives.
  local function answer(f, target, body, headers)
    local res
    local app = web.app()
    app:post("/{id:int}", { depends = { value = web.dependency { f } }, body = s.object { n = s.int() },
      query = { q = s.int() }, form = nil }, function(req, deps)
      return { value = deps.value, n = req.valid.body.n, q = req.valid.query.q, id = req.valid.params.id }
    end)
    support.serving(app, function(port) res = support.post(port, target, body, headers or JSON) end)
    return res, json.decode(res.body)
  end

  it("has each part when it is asked for", function()
    local _, value = answer(function(req)
      return req.valid.query.q + req.valid.body.n + req.valid.params.id
    end, "/5?q=1", '{"n":2}')
    assert.same({ value = 8, n = 2, q = 1, id = 5 }, value)
  end)

  it("is a 422 at once for a part that is wrong", function()
    local reached = false
    local res, value = answer(function(req)
      local q = req.valid.query.q
      reached = true
      return q
    end, "/5?q=x", '{"n":"x"}')
    assert.equal(422, res.status)
    assert.equal(1, #value.detail)
    assert.is_false(reached)
  end)

  it("is not asked about a body that is too large", function()
    local app, opened = web.app { max_body = 100 }, false
    app:post("/", { body = s.any(), depends = { a = web.dependency { function() opened = true end } } }, print)
    support.serving(app, function(port)
      assert.equal(413, support.post(port, "/", ("x"):rep(101), JSON).status)
    end)
    assert.is_false(opened)
  end)

  it("crosses to a worker as far as it has been checked", function()
    local _, value = answer(function(req)
      local q = req.valid.query.q
      return q + ml.executor.run(function(copy)
        local n = 0
        for _ in pairs(copy.valid) do n = n + 1 end
        return n * 10 + copy.valid.query.q
      end, req)
    end, "/5?q=1", '{"n":2}')
    assert.equal(12, value.value)
  end)

  it("leaves the rest for one 422", function()
    local res, value = answer(function(req) return req.valid.params.id end, "/5?q=x", '{"n":"x"}')
    assert.equal(422, res.status)
    assert.same({ { "query", "q" }, { "body", "n" } }, { value.detail[1].loc, value.detail[2].loc })
  end)

  it("wins with an abort, but not over another type of body", function()
    local function refuse() web.abort(401) end
    assert.equal(401, answer(refuse, "/5?q=x", '{"n":"x"}').status)
    assert.equal(415, answer(refuse, "/5?q=x", '{"n":"x"}', "Content-Type: text/plain\r\n").status)
  end)

  it("tells of a part that there is none", function()
    local message
    answer(function(req)
      assert(req.valid.cookies == nil)
      message = select(2, pcall(function() return req.valid.qurey end))
      return 1
    end, "/5?q=1", '{"n":2}')
    assert.matches("typed_depends_spec.lua:%d+: unknown part 'qurey' of req.valid %(did you mean 'query'%?%)",
      tostring(message))
  end)

  it("is waited for by several that are concurrent", function()
    local app = web.app()
    local reading = ml.event()
    local function body(req)
      reading:set()
      return req.valid.body.n
    end
    local needs = { a = web.dependency { body }, b = web.dependency { body } }
    local sum = web.dependency { concurrent = true, needs = needs, function(_, deps) return deps.a + deps.b end }
    app:post("/", { depends = { sum = sum }, body = s.object { n = s.int() } },
      function(_, deps) return { deps.sum } end)
    support.serving(app, function(port)
      local conn <close> = assert(require("spec.support").rawtcp.connect(port))
      conn:send("POST / HTTP/1.1\r\nHost: x\r\n" .. JSON .. "Content-Length: 7\r\n\r\n{\"n")
      reading:wait()
      conn:send '":4}'
      assert.equal("[8]", support.receive(conn).body)
    end)
  end)

  for _, part in ipairs { "body", "form" } do
    it("is read by one of those that wait for the " .. part .. ", where the first reader was cancelled", function()
      local app = web.app()
      local begun, all_wait, given_up, waiting = ml.event(), ml.event(), ml.event(), 0
      local impatient = web.dependency { concurrent = true, function(req)
        local task = ml.spawn(function()
          begun:set()
          return req.valid[part]
        end)
        all_wait:wait()
        task:cancel()
        given_up:set()
      end }
      local needs = { impatient }
      for _, name in ipairs { "a", "b", "c" } do
        needs[name] = web.dependency { concurrent = true, function(req)
          begun:wait()
          waiting = waiting + 1
          if waiting == 3 then all_wait:set() end
          return req.valid[part].n
        end }
      end
      local types = { depends = needs, [part] = s.object { n = s.int() } }
      app:post("/", types, function(_, deps) return { deps.a + deps.b + deps.c } end)
      local kind, text = JSON, '{"n":4}'
      if part == "form" then kind, text = "Content-Type: application/x-www-form-urlencoded\r\n", "n=4" end
      support.serving(app, function(port)
        local conn <close> = assert(require("spec.support").rawtcp.connect(port))
        conn:send(support.request("POST", "/", kind .. "Content-Length: " .. #text .. "\r\n", text:sub(1, 2)))
        given_up:wait()
        conn:send(text:sub(3))
        assert.equal("[12]", support.receive(conn).body)
      end)
    end)
  end
end)
