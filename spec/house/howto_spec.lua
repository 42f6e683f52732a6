-- doc/how-to against the project: its examples run, and its proxy and its service are taken by nginx and systemd.
local documented = require "spec.support.documented"
local examples = require "spec.support.examples"
local folders = require "spec.support.folder"
local haproxy = require "spec.support.haproxy"
local lfs = require "lfs"
local ml = require "moonloop"
local processes = require "spec.support.process"
local free_port = require("spec.support.servers").free_port
local keep_reports = require "reports".keep
local servers = require "spec.support.nginx"

local FOLDER = "doc/how-to/"

local function block(page, language) return documented.blocks(FOLDER .. page, language)[1] end

describe("doc/how-to", function()
  local index = folders.read(FOLDER .. "README.md")
  for file in lfs.dir(FOLDER) do
    if file:find "%.md$" and file ~= "README.md" then
      it("lists " .. file, function() assert(index:find("](" .. file .. ")", 1, true)) end)
      if folders.read(FOLDER .. file):find("\n```lua\n", 1, true) then
        for _, example in ipairs(examples.of(FOLDER .. file)) do
          it(example.name, function()
            local reports <close> = keep_reports()
            example.run()
            local expected = example.text:find('error("boom")', 1, true) and "boom" or "^$"
            if file == "logs.md" then -- its own entries, and none of the host
              assert.is_nil(reports:text():find("moonloop: ", 1, true))
            else
              assert.matches(expected, reports:text())
            end
          end)
        end
      end
    end
  end
  for file in lfs.dir(FOLDER) do
    if file:find "%.md$" then
      it("has links in " .. file .. " to files that exist", function()
        for target in folders.read(FOLDER .. file):gmatch "%]%(([%w./_-]+)" do
          assert(io.open(FOLDER .. target), file .. " names " .. target):close()
        end
      end)
    end
  end
end)

local function client_of(port)
  return ml.http.client { base_url = "http://127.0.0.1:" .. port, timeout = 60,
    retries = { attempts = 200, base = 0.02, max = 0.1 } }
end

--- Calls f(port, client) with the app of a page behind a proxy that `start(text)` starts.
local function behind_of(page, start, text, opts, f)
  local app = assert(load(block(page, "lua"), "=" .. page))()
  app:get("/events", function()
    return ml.web.events(function(send)
      send "first"
      ml.sleep(math.huge) -- until the client has seen it
    end)
  end)
  opts.port = 0
  local server = assert(ml.web.listen(app, opts))
  local port = free_port()
  local proxy <close> = start(documented.at_ports(text, server.port, port))
  assert(proxy.pid)
  local client = client_of(port)
  f(port, client)
  client:close()
  server:stop(0)
end

describe("the proxies of behind-a-proxy.md", function()
  local config = documented.blocks(FOLDER .. "behind-a-proxy.md", "haproxy")
  local function behind(...) return behind_of("behind-a-proxy.md", ...) end

  --- Who it is that asks with headers that pretend to be another.
  local function whoami(client, headers)
    headers.Host = "shop.example"
    local res = assert(client:get("/whoami", { headers = headers }))
    assert.equal(200, res.status, res.body)
    return res:json(), res
  end

  local EXPECTED = { address = "127.0.0.1", scheme = "http", host = "shop.example", url = "http://shop.example/whoami" }

  it("nginx passes on who asked, and events as they come", function()
    if not servers.is_there() then return pending "nginx is not installed" end
    behind(servers.start, block("behind-a-proxy.md", "nginx"), {}, function(_, client)
      local seen, res = whoami(client, {})
      assert.same(EXPECTED, seen)
      assert.matches("^%x+$", res.headers["x-request-id"])
      assert.same(EXPECTED, (whoami(client, { Forwarded = 'for="192.0.2.1', ["X-Forwarded-Host"] = "evil",
        ["X-Forwarded-Port"] = "99", ["X-Forwarded-Proto"] = "https" })))
      -- The proxy is at 127.0.0.1, which is trusted: what the client has said before counts here alone.
      assert.equal("192.0.2.1", whoami(client, { ["X-Forwarded-For"] = "192.0.2.1" }).address)
      local first = ""
      for chunk in assert(client:get("/events", { stream = true })):chunks() do
        first = first .. chunk
        if first == "data: first\n\n" then break end
      end
    end)
  end)

  it("HAProxy passes on who asked", function()
    if not haproxy.is_there() then return pending "HAProxy is not installed" end
    behind(haproxy.start, config[1], {}, function(_, client)
      assert.same(EXPECTED, (whoami(client, {})))
      assert.same(EXPECTED, (whoami(client, { Forwarded = 'for="192.0.2.1', ["X-Forwarded-For"] = "192.0.2.1",
        ["X-Forwarded-Proto"] = "https" })))
    end)
  end)

  it("HAProxy begins connections with the PROXY protocol", function()
    if not haproxy.is_there() then return pending "HAProxy is not installed" end
    for _, version in ipairs { "send-proxy-v2", "send-proxy", "send-proxy-v2 proxy-v2-options crc32c,unique-id" } do
      local text = config[2]:gsub("send%-proxy%-v2", version)
      behind(haproxy.start, text, { proxy_protocol = true }, function(_, client)
        assert.same(EXPECTED, (whoami(client, {})))
      end)
    end
  end)
end)

describe("the proxies of websockets-behind-a-proxy.md", function()
  local PAGE = "websockets-behind-a-proxy.md"

  --- A WebSocket through the proxy that `start` starts with the page's configuration in this language.
  local function talk(start, language)
    behind_of(PAGE, start, block(PAGE, language), {}, function(port, client)
      assert.equal(404, assert(client:get "/").status) -- the proxy is there
      local url = ("ws://127.0.0.1:%d/live"):format(port)
      local own = "http://127.0.0.1:" .. port
      local ws <close> = assert(ml.ws.connect(url, { timeout = 60, headers = { Origin = own } }))
      assert.same({ address = "127.0.0.1", scheme = "http", host = "127.0.0.1:" .. port }, ws:receive_json())
      local long = ("long "):rep(8000)
      for _, text in ipairs { "short", long } do
        assert(ws:send(text))
        assert.equal(text, (ws:receive()))
      end
      local refused, err = ml.ws.connect(url, { timeout = 60, headers = { Origin = "https://evil.example" } })
      assert.is_nil(refused)
      assert.matches("403", tostring(err))
    end)
  end

  it("nginx passes on WebSockets, and where they come from", function()
    if not servers.is_there() then return pending "nginx is not installed" end
    talk(servers.start, "nginx")
  end)

  it("HAProxy passes on WebSockets, and where they come from", function()
    if not haproxy.is_there() then return pending "HAProxy is not installed" end
    talk(haproxy.start, "haproxy")
  end)
end)

describe("the service of deploying.md", function()
  if not os.execute "command -v systemd-analyze >/dev/null" then
    return pending "systemd-analyze is not installed"
  end

  it("is a unit that systemd accepts", function()
    local unit = block("deploying.md", "ini"):gsub("/usr/local/bin/moonloop", "/bin/true")
    local folder <close> = folders.new { ["myapp.service"] = unit }
    local output, status = processes.sh(("systemd-analyze verify '%s/myapp.service' 2>&1"):format(folder.path))
    assert.equal(0, status, output)
  end)
end)
