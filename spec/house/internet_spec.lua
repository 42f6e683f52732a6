-- The configurations of doc/how-to/on-the-internet.md: nginx, HAProxy and systemd take them, and both proxies serve the
-- page's app and keep away what the page says.
local documented = require "spec.support.documented"
local folders = require "spec.support.folder"
local haproxy = require "spec.support.haproxy"
local ml = require "moonloop"
local nginx = require "spec.support.nginx"
local process = require "spec.support.process"
local free_port = require("spec.support.servers").free_port
local tls = require "spec.support.tls"

local PAGE = "doc/how-to/on-the-internet.md"
local HOST = "shop.example"
local MOST = 20 -- connections of a client
local PATIENCE = 60 -- seconds until what does not come is a failure

local function replaced(text, list)
  for from, to in pairs(list) do
    local n
    text, n = text:gsub(from:gsub("%p", "%%%0"), (to:gsub("%%", "%%%%")))
    assert(n > 0, from .. " is not in the configuration")
  end
  return text
end

describe("on-the-internet.md", function()
  if not tls.is_there() then return pending "openssl is not installed" end
  local certificates = tls.certificates { shop = { names = { "DNS:" .. HOST } } }
  local shop = certificates.shop
  folders.write(certificates.path .. "/shop.pem", folders.read(shop.cert) .. folders.read(shop.key))
  teardown(function() certificates:close() end)

  local function connect(port, name)
    return ml.timeout(PATIENCE, ml.net.connect, "127.0.0.1", port,
      { tls = { ca = certificates.ca, server_name = name or HOST } })
  end

  --- The head and the body that are answered to these bytes.
  local function ask(port, bytes)
    local conn <close> = assert(connect(port))
    conn:write(bytes)
    local head = assert(ml.timeout(PATIENCE, conn.read_until, conn, "\r\n\r\n"))
    local length = math.tointeger(tonumber(head:lower():match "\r\ncontent%-length: (%d+)"))
    return head, length > 0 and assert(ml.timeout(PATIENCE, conn.read, conn, length)) or ""
  end

  local function get(port, lines) return ask(port, "GET / HTTP/1.1\r\nConnection: close\r\n" .. lines .. "\r\n") end

  local function status_of(head) return tonumber(head:match "^HTTP/1%.1 (%d+) ") end

  --- Calls f(port) with the page's app behind the proxy that start(app's port, port) starts.
  local function behind(start, f)
    local app = assert(load(documented.blocks(PAGE, "lua")[1], "=" .. PAGE))()
    local server = assert(ml.web.listen(app, { port = 0 }))
    local port = free_port()
    local proxy <close> = start(server.port, port)
    assert(proxy.pid)
    assert(ml.timeout(PATIENCE, function()
      while true do
        local conn = connect(port)
        if conn then return conn:close() or true end
        ml.sleep(0.02)
      end
    end), "the proxy does not listen")
    f(port)
    server:stop(0)
  end

  local function check_who(port)
    for _, lies in ipairs { "", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nForwarded: for=192.0.2.1\r\n"
      .. "X-Forwarded-Host: evil.example\r\n" } do
      local head, body = get(port, "Host: " .. HOST .. "\r\n" .. lies)
      assert.equal(200, status_of(head), head)
      assert.matches("[Ss]trict%-[Tt]ransport%-[Ss]ecurity: ", head)
      assert.same({ client = "127.0.0.1", scheme = "https", host = HOST }, ml.json.decode(body))
    end
    local head = "POST /upload HTTP/1.1\r\nHost: " .. HOST .. "\r\nConnection: close\r\nContent-Length: "
    assert.equal(200, status_of(ask(port, head .. "5\r\n\r\nhello")))
    assert.equal(413, status_of(ask(port, head .. (2 << 20) .. "\r\n\r\n")))
  end

  --- A client that asks faster than it may is refused.
  local function check_rate(port)
    assert.equal(429, ml.timeout(PATIENCE, function()
      local conn
      repeat conn = connect(port) until conn -- those before it count until the proxy has closed them
      local status
      repeat
        conn:write("GET / HTTP/1.1\r\nHost: " .. HOST .. "\r\n\r\n")
        local head = assert(conn:read_until "\r\n\r\n")
        assert(conn:read(math.tointeger(tonumber(head:lower():match "\r\ncontent%-length: (%d+)"))))
        status = status_of(head)
      until status ~= 200
      conn:close()
      return status
    end))
  end

  --- Starts a command of the page, of `serve`, on the page's app: its folder is `path`.
  local function serve(command, path, through)
    folders.write(path .. "/app.lua", documented.blocks(PAGE, "lua")[1])
    local arguments = assert(command:gsub("\\\n", " "):match "moonloop (serve .+)$", command)
    local started = process.start(arguments .. " --block-limit 0", ("cd '%s';"):format(path), through)
    return started, assert(started:line(), started:errors())
  end

  it("moonloop alone is served as the page says", function()
    if not process.sh "id -u":find "^0" then return pending "only root becomes another user" end
    local port, plain = free_port(), free_port()
    local command = replaced(documented.blocks(PAGE, "sh")[1], { [":443"] = "127.0.0.1:" .. port,
      ["https 80"] = "https " .. plain, ["user shop"] = "user nobody" })
    local folder <close> = folders.new { ["cert.pem"] = folders.read(shop.cert), ["key.pem"] = folders.read(shop.key) }
    process.sh(("chmod -R a+rX '%s' && chown 65534 '%s/key.pem' && chmod 600 '%s/key.pem'"):format(folder.path,
      folder.path, folder.path))
    local server <close> = serve(command, folder.path)
    local head, body = get(port, "Host: " .. HOST .. "\r\n")
    assert.equal(200, status_of(head))
    assert.same({ client = "127.0.0.1", scheme = "https", host = HOST }, ml.json.decode(body))
    local sent = assert(ml.http.get("http://127.0.0.1:" .. plain, { follow_redirects = false }))
    assert.equal(308, sent.status)
    assert.matches("^https://127%.0%.0%.1:" .. port, sent.headers.location)
    assert.matches("Uid:%s+65534%s+65534%s+65534", folders.read(("/proc/%d/status"):format(server.pid)))
  end)

  it("nginx takes its configuration, serves and refuses", function()
    if not nginx.is_there() then return pending "nginx is not installed" end
    local text = documented.blocks(PAGE, "nginx")[1]
    local function configured(behind_port, port)
      return replaced(text, { ["127.0.0.1:8000"] = "127.0.0.1:" .. behind_port,
        ["127.0.0.1:8443"] = "127.0.0.1:" .. port,
        ["/etc/ssl/shop.example.crt"] = shop.cert, ["/etc/ssl/shop.example.key"] = shop.key })
    end
    local said, status = nginx.check(configured(free_port(), free_port()))
    assert.equal(0, status, said)
    assert.is_nil(said:find "%[warn%]", said)
    behind(function(...) return nginx.start(configured(...)) end, function(port)
      check_who(port)
      local other, err = connect(port, "other.example")
      assert(not other, "another name was served")
      assert.equal("tls", err.kind)
      -- A request counts from its head on: 100 Continue says that nginx has it.
      local held <close> = ml.group()
      local waiting, full, tasks = ml.semaphore(0), ml.event(), {}
      for i = 1, MOST do
        tasks[i] = held:spawn(function()
          local conn <close> = assert(connect(port))
          conn:write("POST /upload HTTP/1.1\r\nHost: " .. HOST
            .. "\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
          assert(conn:read_until "\r\n\r\n")
          waiting:release()
          full:wait()
        end)
      end
      for _ = 1, MOST do waiting:acquire() end
      assert.equal(429, status_of(get(port, "Host: " .. HOST .. "\r\n")))
      full:set()
      for _, task in ipairs(tasks) do task:await() end
      check_rate(port)
    end)
  end)

  it("HAProxy takes its configuration, serves and refuses", function()
    if not haproxy.is_there() then return pending "HAProxy is not installed" end
    local text = documented.blocks(PAGE, "haproxy")[1]
    local function configured(behind_port, port)
      return replaced(text, { ["127.0.0.1:8000"] = "127.0.0.1:" .. behind_port,
        ["127.0.0.1:8443"] = "127.0.0.1:" .. port,
        ["/etc/ssl/shop.example.pem"] = certificates.path .. "/shop.pem" })
    end
    local said, status = haproxy.check(configured(free_port(), free_port()))
    assert.equal(0, status, said)
    behind(function(...) return haproxy.start(configured(...)) end, function(port)
      check_who(port)
      assert.equal(421, status_of(get(port, "Host: other.example\r\n")))
      local list = {}
      for i = 1, MOST do list[i] = assert(connect(port)) end
      assert(not connect(port), "a client has more connections than it may have")
      for _, conn in ipairs(list) do conn:close() end
      check_rate(port)
    end)
  end)

  it("the unit's command serves the app, below such filters of system calls", function()
    if not process.sh "id -u":find "^0" then return pending "only root becomes another user" end
    local command = assert(documented.blocks(PAGE, "ini")[1]:match "\nExecStart=([^\n]+)\n")
    local folder <close> = folders.new {}
    command = replaced(command, { ["/srv/shop"] = folder.path }) .. " --user nobody --port 0"
    process.sh(("chmod 755 '%s'"):format(folder.path))
    local through = process.quote((require("spec.support").binary:gsub("[^/]+$", "spec/as_service"))) .. " --filtered "
    local server <close>, line = serve(command, folder.path, through)
    local url = line:match "http://[%d.:]+" .. "/"
    local res = assert(ml.http.get(url, { headers = { ["X-Forwarded-For"] = "192.0.2.1" } }))
    assert.equal("192.0.2.1", res:json().client)
    assert.equal("", server:errors())
  end)

  it("systemd accepts the unit, and finds it closed", function()
    if not os.execute "command -v systemd-analyze >/dev/null" then return pending "systemd-analyze is not installed" end
    local unit = replaced(documented.blocks(PAGE, "ini")[1], { ["/usr/local/bin/moonloop"] = "/bin/true" })
    local folder <close> = folders.new { ["shop.service"] = unit }
    local output, status = process.sh(("systemd-analyze verify '%s/shop.service' 2>&1"):format(folder.path))
    assert.equal(0, status, output)
    -- The exposure in tenths, as systemd rates it: a unit without any of it has 96.
    output, status = process.sh(("systemd-analyze security --offline=yes --threshold=20 '%s/shop.service' 2>&1")
      :format(folder.path))
    assert.equal(0, status, output)
  end)
end)
