-- ml.http: retries on demand.
local ml = require "moonloop"
local eventually = require("spec.support.tasks").eventually
local raw = require "spec.support.http"
local rawtcp = require("spec.support").rawtcp
local serve, answering, ok = raw.serve, raw.answering, raw.ok
local assert_error = raw.assert_error

local function status(code, headers)
  return ("HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n"):format(code, headers or "")
end

-- A server that gives these responses in turn, and the last one for ever. `asked` counts.
local function serve_turns(...)
  local turns, server = { ... }, nil
  server = serve(answering(function()
    server.asked = server.asked + 1
    return turns[math.min(server.asked, #turns)]
  end))
  server.asked = 0
  return server
end

local FAST = { attempts = 4, base = 0.001 }

raw.on_both_ways(describe, "ml.http retries", function(http)
  after_each(raw.stop)

  it("there are none unless they are asked for", function()
    local server = serve_turns(status(503), ok("late"))
    assert.equal(503, assert(http.get(server.url)).status)
    assert.equal(1, server.asked)
  end)

  it("a number is how many further attempts there may be", function()
    local server = serve_turns(status(503), status(502), ok("third"))
    assert.equal("third", assert(http.get(server.url, { retries = 2 })).body)
    assert.equal(3, server.asked)
    server = serve_turns(status(503))
    assert.equal(503, assert(http.get(server.url, { retries = 1 })).status)
    assert.equal(2, server.asked)
  end)

  it("429, 502, 503 and 504 are tried again, other statuses are not", function()
    for code, asked in pairs { [429] = 2, [502] = 2, [503] = 2, [504] = 2, [500] = 1, [404] = 1, [400] = 1 } do
      local server = serve_turns(status(code), ok("again"))
      assert(http.get(server.url, { retries = FAST }))
      assert.equal(asked, server.asked)
    end
  end)

  it("on names the statuses", function()
    local server = serve_turns(status(500), status(503))
    local res = assert(http.get(server.url, { retries = { attempts = 5, base = 0, on = { 500 } } }))
    assert.equal(503, res.status)
    assert.equal(2, server.asked)
  end)

  it("idempotent methods only, unless configured otherwise", function()
    for verb, asked in pairs { get = 2, head = 2, put = 2, delete = 2, options = 2, post = 1, patch = 1 } do
      local server = serve_turns(status(503), ok(""))
      assert(http[verb](server.url, { retries = FAST }))
      assert.equal(asked, server.asked)
    end
    local server = serve_turns(status(503), ok("x"))
    local res = assert(http.post(server.url, { retries = { base = 0, methods = { "post" } }, body = "again" }))
    assert.equal(200, res.status)
  end)

  it("a connection that is refused or cut is tried again", function()
    local listener = rawtcp.listen()
    local port = listener.port
    listener:close()
    local attempts = 0
    local client = http.client { retries = FAST, hooks = { request = function() attempts = attempts + 1 end } }
    assert_error("network", "ECONNREFUSED", client:get("http://127.0.0.1:" .. port))
    assert.equal(4, attempts)
    local server = serve(function(conn, n)
      raw.read_request(conn)
      if n < 3 then return end
      conn:send(ok("third"))
    end)
    assert.equal("third", assert(client:get(server.url)).body)
  end)

  it("errors that another attempt cannot fix are returned at once", function()
    local attempts = 0
    local client = http.client { retries = FAST, hooks = { request = function() attempts = attempts + 1 end } }
    assert_error("http", "BAD_URL", client:get("nonsense"))
    local server = serve_turns(ok("too much"))
    assert_error("http", "too_large", client:get(server.url, { max_body = 1 }))
    assert.equal(2, attempts)
  end)

  it("a streamed body is never sent twice", function()
    local server = serve_turns(status(503), ok("x"))
    local given = false
    local res = assert(http.put(server.url, {
      retries = FAST,
      body = function()
        if given then return nil end
        given = true
        return "piece"
      end,
    }))
    assert.equal(503, res.status)
    assert.equal(1, server.asked)
  end)

  it("Retry-After is waited for, in seconds or as a date", function()
    local retry = require "moonloop.http.retry"
    local now = math.ceil(ml.time.now()) -- which is not os.time() after hours of a virtual clock
    local plan = retry.plan(3)
    local function wait(value)
      return retry.wait(plan, { method = "GET" }, 1, { status = 503, headers = { ["retry-after"] = value } })
    end
    assert.equal(7, wait("7"))
    local in_ten = wait(os.date("!%a, %d %b %Y %H:%M:%S GMT", now + 10))
    assert.is_true(in_ten >= 0 and in_ten <= 11)
    assert.is_true(wait("Sun, 06 Nov 1994 08:49:37 GMT") <= 0.1)
    assert.is_true(wait("soon") <= 0.1)
    assert.is_nil(wait("3600"))
    assert.is_nil(wait(os.date("!%a, %d %b %Y %H:%M:%S GMT", now + 3600)))
  end)

  it("a Retry-After that is too long returns the response", function()
    local server = serve_turns(status(503, "Retry-After: 3600\r\n"), ok("x"))
    local res = assert(http.get(server.url, { retries = FAST }))
    assert.equal(503, res.status)
    assert.equal(1, server.asked)
  end)

  it("the wait grows, with full jitter and a bound", function()
    local retry = require "moonloop.http.retry"
    local plan = retry.plan { attempts = 1000, base = 1, max = 8 }
    local least, most = math.huge, 0
    for n = 1, 200 do
      local wait = retry.wait(plan, { method = "GET" }, n, nil, { kind = "network" })
      assert.is_true(wait >= 0 and wait <= math.min(8, 2.0 ^ (n - 1)))
      if n > 10 then least, most = math.min(least, wait), math.max(most, wait) end
    end
    assert.is_true(least < 2 and most > 6)
  end)

  it("the timeout covers all attempts together", function()
    local server = serve_turns(status(503))
    local start = ml.now()
    local plan = { attempts = 1000000, base = 0.01, max = 0.02 }
    local res, err = http.get(server.url, { timeout = 1, retries = plan })
    assert.equal(res and 503 or "timeout", (res or err)[res and "status" or "kind"])
    assert.is_true(server.asked > 2)
    assert.is_true(ml.now() - start < 100)
  end)

  it("a cancel ends the waiting", function()
    local server = serve_turns(status(503))
    local task = ml.spawn(http.get, server.url, { retries = { attempts = 2, base = 1000, max = 1000 }, timeout = 1e6 })
    eventually(function() return server.asked == 1 end)
    task:cancel()
    assert.is_false(pcall(task.await, task))
    assert.equal(1, server.asked)
  end)

  it("invalid plans are named", function()
    for pattern, retries in pairs {
      ["retries: attempts: an integer"] = { attempts = 0 }, ["retries: base: must not be negative"] = { base = -1 },
      ["retries: on: 200 is not a status"] = { on = { 200 } }, ["retries: on: list expected"] = { on = 503 },
      ["unknown option 'time'"] = { time = 1 },
      ["method: \"G T\" is not a valid method name"] = { methods = { "G T" } },
      ["retries: number or table expected, got string"] = "3", ["retries: an integer"] = 1.5,
    } do
      local good, message = pcall(http.get, "http://127.0.0.1:1", { retries = retries })
      assert.is_false(good)
      assert.matches(pattern, message)
      assert.is_false(pcall(http.client, { retries = retries }))
    end
  end)
end, true)
