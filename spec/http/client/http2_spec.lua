-- The client over HTTP/2 against nginx; what is behind nginx is a server of ours.
local ml = require "moonloop"
local free_port = require("spec.support.servers").free_port
local servers = require "spec.support.nginx"
local web = require "moonloop.web"

local HTTP = [[
  client_max_body_size 0;
  ssl_certificate cert;
  ssl_certificate_key key;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_request_buffering off;
  add_header X-Protocol $server_protocol always;
  add_header X-Connection $connection always;
  server {
    listen 127.0.0.1:PORT1 ssl http2;
    location / { proxy_pass http://127.0.0.1:BEHIND; }
  }
  server {
    listen 127.0.0.1:PORT2 ssl http2;
    keepalive_requests 3;
    location / { return 200; }
  }
  server {
    listen 127.0.0.1:PORT3 ssl;
    location / { return 200; }
  }
]]

local CERTIFICATE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert "
  .. "-days 2 -subj /CN=localhost"

local function missing()
  if not os.execute "command -v openssl >/dev/null" then return "openssl is not installed" end
  if not servers.is_there "http_v2" then return "nginx with HTTP/2 is not installed" end
end

--- Ports that are free.
local function free_ports(n)
  local ports, seen = {}, {}
  while #ports < n do
    local port = free_port()
    if not seen[port] then ports[#ports + 1], seen[port] = port, true end
  end
  return ports
end

--- The app behind nginx. `app.waiting` requests of /wait are there; they are answered when `app.go` is set.
local function app_behind()
  local app = web.app { max_body = 16 << 20 }
  app.state = { waiting = 0, left = 0, go = ml.event() }
  app:get("/wait", function()
    app.state.waiting = app.state.waiting + 1
    local _ <close> = setmetatable({}, { __close = function() app.state.left = app.state.left + 1 end })
    app.state.go:wait()
    return "went"
  end)
  app:post("/echo", function(req) return web.response { body = req.body, headers = { ["X-Length"] = #req.body } } end)
  app:get("/stream", function()
    return web.response { stream = function(out) for i = 1, 100 do out:write(("%4d"):format(i):rep(4096)) end end }
  end)
  app:get("/status/{status:int}", function(req) return { detail = "so" }, req.params.status end)
  return app
end

local function eventually(what, f)
  assert(ml.timeout(100, function() while not f() do ml.sleep(0.005) end return true end), what)
end

describe("the client over HTTP/2", function()
  local why = missing()
  if why then
    it("needs a server that speaks it", function() pending(why) end)
    return
  end

  local nginx, behind, app, urls, client

  setup(function()
    app = app_behind()
    behind = assert(web.listen(app, { port = 0 }))
    local ports = free_ports(3)
    nginx = servers.start(HTTP:gsub("PORT(%d)", function(i) return ports[tonumber(i)] end)
      :gsub("BEHIND", behind.port), CERTIFICATE)
    urls = {}
    for i, port in ipairs(ports) do urls[i] = ("https://127.0.0.1:%d"):format(port) end
    eventually("nginx has not started", function() return ml.http.get(urls[1] .. "/status/200", { verify = false }) end)
  end)

  teardown(function()
    if nginx then nginx:close() end
    if behind then behind:stop(0) end
  end)

  before_each(function()
    app.state.waiting, app.state.left, app.state.go = 0, 0, ml.event()
    client = ml.http.client()
  end)

  local function get(path, opts)
    opts = opts or {}
    opts.verify = false
    return client:get(urls[1] .. path, opts)
  end

  it("uses it if the server offers it, and HTTP/1.1 if not", function()
    local res = assert(get "/status/404")
    assert.equal("HTTP/2.0", res.headers["X-Protocol"])
    assert.same({ 404, "so", "application/json" }, { res.status, res:json().detail, res.headers["content-type"] })
    assert.equal("HTTP/1.1", assert(client:get(urls[3], { verify = false })).headers["X-Protocol"])
    local old <close> = ml.http.client { http2 = false }
    assert.equal("HTTP/1.1", assert(old:get(urls[1] .. "/status/200", { verify = false })).headers["X-Protocol"])
  end)

  it("sends requests that are made at once over one connection", function()
    local calls = {}
    for i = 1, 50 do calls[i] = { get, "/wait" } end
    local all = ml.spawn(ml.gather, calls)
    eventually("not all are on their way", function() return app.state.waiting == 50 end)
    app.state.go:set()
    local results, connections, count = all:await(), {}, 0
    for i = 1, 50 do
      assert.equal("went", results[i].body)
      local number = results[i].headers["X-Connection"]
      if not connections[number] then connections[number], count = true, count + 1 end
    end
    assert.equal(1, count)
  end)

  it("carries bodies both ways, whole and in pieces", function()
    local text = ("0123456789abcdef"):rep(1 << 16)
    local res = assert(client:post(urls[1] .. "/echo", { body = text, verify = false }))
    assert.is_true(text == res.body)
    local sent = 0
    res = assert(client:post(urls[1] .. "/echo", { verify = false, body = function()
      sent = sent + 1
      return sent <= 16 and text:sub(1, 1 << 16) or nil
    end }))
    assert.is_true(text == res.body)
    local parts = {}
    for chunk in assert(get("/stream", { stream = true })):chunks() do parts[#parts + 1] = chunk end
    local body = table.concat(parts)
    assert.equal(100 * 4 * 4096, #body)
    assert.equal(" 100", body:sub(-4))
  end)

  it("tells the server of a cancelled request at once when it is alone on its connection", function()
    local task = ml.spawn(get, "/wait")
    eventually("it is not on its way", function() return app.state.waiting == 1 end)
    task:cancel()
    eventually("the server does not hear of it", function() return app.state.left == 1 end)
    assert.equal(200, assert(get "/status/200").status)
  end)

  it("ends only a cancelled request: the others on the connection continue", function()
    local first, second = ml.spawn(get, "/wait"), ml.spawn(get, "/wait")
    eventually("both are on their way", function() return app.state.waiting == 2 end)
    first:cancel()
    assert.is_false((pcall(first.await, first)))
    local third = assert(get "/status/200")
    eventually("the server does not hear of it", function() return app.state.left == 1 end)
    app.state.go:set()
    local res = second:await()
    assert.equal("went", res.body)
    assert.equal(third.headers["X-Connection"], res.headers["X-Connection"])
  end)

  it("continues with another connection when the server ends one", function()
    local connections, count = {}, 0
    for _ = 1, 10 do
      local number = assert(client:get(urls[2], { verify = false })).headers["X-Connection"]
      if not connections[number] then connections[number], count = true, count + 1 end
    end
    assert.is_true(count > 1)
  end)

  it("has the limits of any request: time, and the body's size", function()
    local res, err = get("/wait", { timeout = 0.1 })
    assert.is_nil(res)
    assert.equal("timeout", err.kind)
    res, err = get("/stream", { max_body = 1000 })
    assert.is_nil(res)
    assert.equal("too_large", err.code)
    assert.equal(200, assert(get "/status/200").status)
  end)
end)
