-- ml.http: hooks of a client around its exchanges.
local ml = require "moonloop"
local raw = require "spec.support.http"
local serve, answering, ok, header, serve_echo = raw.serve, raw.answering, raw.ok, raw.header, raw.serve_echo
local http = ml.http

describe("ml.http hooks", function()
  after_each(raw.stop)

  it("request sees the request before it goes, and may change it", function()
    local server = serve_echo()
    local seen
    local client = http.client {
      headers = { ["X-Own"] = "client" },
      hooks = {
        request = function(request)
          seen = { request.method, request.url, request.body, request.headers["x-own"], request.attempt }
          request.method = "put"
          request.url = request.url .. "?signed"
          request.body = request.body .. "!"
          request.headers["X-Signature"] = #request.body
          request.headers["X-OWN"] = nil
        end,
      },
    }
    local res = assert(client:post(server.url .. "/x", { body = "hello", headers = { ["X-Many"] = { "1", "2" } } }))
    assert.same({ "POST", server.url .. "/x", "hello", "client", 1 }, seen)
    assert.matches("^PUT /x%?signed ", res.body)
    assert.equal("hello!", res.body:sub(-6))
    assert.equal("6", header(res.body, "X-Signature"))
    assert.same({ "1", "2" }, { header(res.body, "X-Many") })
    assert.is_nil(header(res.body, "X-Own"))
  end)

  it("response sees what came, with its request", function()
    local server = serve_echo()
    local seen = {}
    local client = http.client {
      hooks = { response = function(res, request) seen[#seen + 1] = request.method .. " " .. res.status end },
    }
    assert(client:get(server.url))
    assert(client:delete(server.url))
    assert.same({ "GET 200", "DELETE 200" }, seen)
  end)

  it("they are called in order for each exchange: attempts and redirects, too", function()
    local asked = 0
    local server = serve(answering(function(head)
      asked = asked + 1
      if asked == 1 then return "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n" end
      if asked == 2 then return "HTTP/1.1 302 X\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n" end
      return ok(head)
    end))
    local calls = {}
    local function note(name) return function(what) calls[#calls + 1] = name .. (what.status or what.attempt) end end
    local client = http.client {
      retries = { base = 0 },
      hooks = { request = { note "a", note "b" }, response = { note "c", note "d" } },
    }
    assert(client:get(server.url))
    assert.equal("a1 b1 c503 d503 a2 b2 c302 d302 a1 b1 c200 d200", table.concat(calls, " "))
  end)

  it("they run in the task of the request, and may wait", function()
    local server = serve_echo()
    local task
    local client = http.client {
      hooks = {
        request = function(request)
          task = ml.current()
          request.headers["X-Token"] = assert(http.get(server.url)).status
        end,
        response = function() ml.sleep(0) end,
      },
    }
    assert.equal("200", header(assert(client:get(server.url)).body, "X-Token"))
    assert.equal(ml.current(), task)
  end)

  it("what they raise comes out unchanged", function()
    local server = serve_echo()
    local reason = {}
    for _, name in ipairs { "request", "response" } do
      local client = http.client { hooks = { [name] = function() error(reason) end } }
      local good, err = pcall(client.get, client, server.url)
      assert.is_false(good)
      assert.equal(reason, err)
    end
  end)

  it("a hook's headers are checked like a script's", function()
    local client = http.client { hooks = { request = function(r) r.headers["X-Bad"] = "a\r\nb: c" end } }
    local good, message = pcall(client.get, client, "http://127.0.0.1:1")
    assert.is_false(good)
    assert.matches("the value of 'x%-bad' has a control character", message)
  end)

  it("a value that is not a hook is named", function()
    for pattern, hooks in pairs {
      ["hooks: table expected"] = 5, ["unknown option 'before'"] = { before = print },
      ["hooks: request: function expected, got number"] = { request = 5 },
      ["hooks: response: function expected, got string"] = { response = { "x" } },
    } do
      local good, message = pcall(http.client, { hooks = hooks })
      assert.is_false(good)
      assert.matches(pattern, message)
    end
  end)
end)
