-- ml.http: requests without options take a short path (bindings/http/client_bare.c). It behaves like the
-- long one, which a request with `{}` as options takes.
local ml = require "moonloop"
local raw = require "spec.support.http"
local serve, serve_echo, answering, ok = raw.serve, raw.serve_echo, raw.answering, raw.ok
local assert_error = raw.assert_error

--- What a script sees of a response or an error.
local function seen(res, err)
  if not res then return { kind = err.kind, code = err.code, message = err.message } end
  return { status = res.status, body = res.body, url = res.url, head = res.headers["content-length"] }
end

--- Both ways come to the same; gives what that is.
local function same_both_ways(client, target)
  local short = seen(client:get(target))
  assert.same(seen(client:get(target, {})), short, target)
  return short
end

describe("ml.http, a request without options", function()
  after_each(raw.stop)

  it("is like one with none set, whatever its URL", function()
    local server = serve_echo()
    local place = server.url:sub(8)
    local client = ml.http.client()
    for _, target in ipairs {
      server.url, server.url .. "/", server.url .. "?q", server.url .. "/a?b=c:d#e", server.url .. "/a/../b",
      server.url .. "/\195\164 x", "http://u:p%40@" .. place .. "/x", "HTTP://" .. place .. "/x", "http://",
      "http:///x", "http://x\0y/", "http://\u{FC}/\0",
      "http://\0@\u{FC}/", server.url .. "/a\0b", "", "/x", "x", place, "ftp://" .. place,
      "http://127.0.0.1:99999/", "http://h:port/", "http://[::1/",
    } do
      same_both_ways(client, target)
    end
  end)

  it("is like one with none set, whatever the base of its URL", function()
    local server = serve_echo()
    for _, base in ipairs { "", "/", "//", "/v1", "/v1/", "/v1//" } do
      local client <close> = ml.http.client { base_url = server.url .. base }
      for _, target in ipairs {
        "", "/", "//", "x", "/x", "///x", "/x?t=12:30", "x:y", "?q", "?q=a:b", "#f", server.url .. "/x", "/../x",
      } do
        same_both_ways(client, target)
      end
    end
    for _, base in ipairs { "HTTP" .. server.url:sub(5), "http://:80", "http://b\u{FC}cher..example", "http://a b/" } do
      local client <close> = ml.http.client { base_url = base }
      for _, target in ipairs { "", "x", "/x", "?q", server.url .. "/x" } do same_both_ways(client, target) end
    end
  end)

  it("sends the client's headers", function()
    local client <close> = ml.http.client { headers = { ["X-One"] = "1", Host = "else" }, base_url = serve_echo().url }
    for _ = 1, 2 do
      local head = assert(client:get("/")).body
      assert.equal("1", raw.header(head, "x-one"))
      assert.same({ "else" }, { raw.header(head, "host") })
    end
  end)

  it("obeys the client's limits", function()
    local server = serve(function(conn)
      raw.read_request(conn)
      conn:send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" .. ("x"):rep(50))
      conn:receive(1, 60)
    end)
    local small <close> = ml.http.client { max_body = 99 }
    assert_error("http", "too_large", small:get(server.url))
    local quick <close> = ml.http.client { timeout = 0.05 }
    local err = assert_error("timeout", "TIMED_OUT", quick:get(server.url))
    assert.matches("not finished within 0.05 s", err.message)
    local none <close> = ml.http.client { timeout = 0 }
    assert_error("timeout", "TIMED_OUT", none:get(server.url))
  end)

  it("follows redirects with the credentials of its URL, within its one timeout", function()
    local server
    server = serve(answering(function(head)
      if head:find("^%u+ /1 ") then return "HTTP/1.1 302 X\r\nLocation: /2\r\nContent-Length: 0\r\n\r\n" end
      if head:find("^%u+ /late ") then
        ml.sleep(0.03)
        return "HTTP/1.1 302 X\r\nLocation: /late\r\nContent-Length: 0\r\n\r\n"
      end
      return ok(head)
    end))
    local place = server.url:sub(8)
    local res = assert(ml.http.get("http://u:p@" .. place .. "/1"))
    assert.equal("Basic dTpw", raw.header(res.body, "authorization"))
    assert.equal(server.url .. "/2", res.url)
    assert.equal(302, res.history[1].status)
    local still <close> = ml.http.client { follow_redirects = false, base_url = server.url }
    res = assert(still:get("/1"))
    assert.same({ 302, "/2" }, { res.status, res.headers.location })
    local quick <close> = ml.http.client { timeout = 0.1, base_url = server.url }
    assert_error("timeout", "TIMED_OUT", quick:get("/late"))
    assert.equal("http", select(2, ml.http.get(server.url .. "/late")).kind) -- too many
  end)

  it("gives a response whose headers outlive its connection's next exchange", function()
    local n = 0
    local server = serve(answering(function()
      n = n + 1
      return ok("body " .. n, ("X-N: %d\r\nX-Long: %s\r\n"):format(n, ("x"):rep(1000 * n)))
    end))
    local client <close> = ml.http.client { base_url = server.url }
    local first, second = assert(client:get("/")), assert(client:post("/"))
    collectgarbage()
    assert.equal(1, server.connections)
    assert.same({ "1", 1000, "body 1" }, { first.headers["X-N"], #first.headers["x-long"], first.body })
    assert.same({ "2", 2000, "body 2" }, { second.headers["X-N"], #second.headers["x-long"], second.body })
    assert.equal(first.headers, first.headers)
  end)

  it("continues when its client is closed meanwhile, and is the last", function()
    local asked, answer = ml.event(), ml.event()
    local server = serve(answering(function()
      asked:set()
      answer:wait()
      return ok("there")
    end))
    local client = ml.http.client { base_url = server.url, headers = { ["X-A"] = "1" } }
    local task = ml.spawn(function() return client:get("/") end)
    asked:wait()
    client:close()
    collectgarbage()
    answer:set()
    assert.equal("there", task:await().body)
    assert.equal("closed", select(2, pcall(client.get, client, "/")).kind)
  end)

  it("is interrupted by a cancel; its connection is not used again", function()
    local n = 0
    local server = serve(function(conn)
      n = n + 1
      raw.read_request(conn)
      if n > 1 then conn:send(ok("second")) end
      conn:receive(1, 60)
    end)
    local client <close> = ml.http.client { base_url = server.url }
    local task = ml.spawn(function() return client:get("/") end)
    while n == 0 do ml.sleep(0.001) end
    task:cancel()
    assert.is_false(pcall(task.await, task))
    assert.equal("second", assert(client:get("/")).body)
    assert.equal(2, server.connections)
  end)

  it("names the line of the script when it has no client", function()
    for _, target in ipairs { "http://127.0.0.1:1", 5, false } do
      local good, message = pcall(function()
        local res = ml.http.client().get(target)
        return res
      end)
      assert.is_false(good)
      assert.matches("http_bare_spec%.lua:%d+: client:get was called without its client %(got %a+%): methods", message)
    end
    assert.has_error(function() return ml.http.client().get({ bare = io.stdout }, "http://127.0.0.1:1") end)
  end)

  it("cannot be sent outside of a task", function()
    local client <close> = ml.http.client()
    local good, message = pcall(table.sort, { 1, 2 }, function() client:get("http://127.0.0.1:1") end)
    assert.is_false(good)
    assert.matches("ml.http: cannot wait inside 'table.sort'", message)
  end)
end)
