-- Requests that two servers may understand differently, directly and behind the proxies of
-- doc/how-to/behind-a-proxy.md: nobody's bytes are taken for somebody else's request.
local cases = require "spec.support.front_cases"
local documented = require "spec.support.documented"
local haproxy = require "spec.support.haproxy"
local ml = require "moonloop"
local nginx = require "spec.support.nginx"
local rawtcp = require("spec.support").rawtcp
local free_port = require("spec.support.servers").free_port
local support = require "spec.support.web"

local PAGE = "doc/how-to/behind-a-proxy.md"
local VICTIMS = 3

--- An app that notes in `seen` what reaches it, and in `connections` on how many connections.
local function make_app(seen, connections)
  local app = ml.web.app()
  return app:any("/{rest:path}", function(req)
    connections[req.client.port] = true
    seen[#seen + 1] = ("%s %s %s %s"):format(req.method, req.host, req.path, req.body)
    return req.path
  end)
end

--- The statuses that come for a case, the last of which is for a request that ends the connection.
local function send(port, case)
  local conn <close> = assert(rawtcp.connect(port))
  conn:send(case.bytes .. "GET /last HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
  local all, why, part = conn:receive "*a"
  assert.not_equal("timeout", why)
  local statuses = {}
  for status in (all or part):gmatch "HTTP/1%.[01] (%d%d%d) " do statuses[#statuses + 1] = tonumber(status) end
  return statuses
end

--- Is what was seen the beginning of what is meant, and the last request where all of it was?
local function is_allowed(seen, means)
  if #seen > #means + 1 then return false end
  for i, request in ipairs(seen) do
    if request ~= (means[i] or "GET here /last ") then return false end
  end
  return true
end

--- Others that come after it get the answers to what they have asked, and nothing else is seen.
local function check_others(port, seen, case)
  for i = 1, VICTIMS do
    local before = #seen
    local path = "/victim-" .. i
    local res = assert(support.get(port, path, "Connection: close\r\n"))
    assert.equal(200, res.status, case.name)
    assert.equal(path, res.body, case.name)
    assert.same({ ("GET here %s "):format(path) }, { table.unpack(seen, before + 1) }, case.name)
  end
end

local function size(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

--- The cases behind a proxy that `start(text)` starts.
local function check_behind(start, text)
  local seen, connections = {}, {}
  support.serving(make_app(seen, connections), function(behind)
    local port = free_port()
    local proxy <close> = start(documented.at_ports(text, behind, port))
    assert(proxy.pid)
    local client <close> = ml.http.client { timeout = 60, retries = { attempts = 200, base = 0.02, max = 0.1 } }
    assert.equal(200, assert(client:get(("http://127.0.0.1:%d/up"):format(port))).status)
    client:close()
    local requests = 0
    for _, case in ipairs(cases) do
      for i = #seen, 1, -1 do seen[i] = nil end
      local statuses = send(port, case)
      assert(#statuses > 0, case.name .. ": no answer")
      assert(is_allowed(seen, case.means) or is_allowed(seen, case.means_by_proxy),
        case.name .. " was understood as " .. ml.json.encode(seen))
      if case.is_right then
        assert.equal(#case.means + 1, #seen, case.name)
        for _, status in ipairs(statuses) do assert.equal(200, status, case.name) end
      end
      check_others(port, seen, case)
      requests = requests + #seen
    end
    -- Else each request had a connection of its own, where nothing could have gone wrong.
    assert(size(connections) < requests / 2, "the proxy has kept no connections to the app")
  end, { trusted_proxies = "127.0.0.1" })
end

describe("a request that servers may understand differently", function()
  it("is one of 34", function() assert.equal(34, #cases) end)

  for _, case in ipairs(cases) do
    it("is answered as it should be, directly: " .. case.name, function()
      local seen = {}
      support.serving(make_app(seen, {}), function(port)
        local statuses = send(port, case)
        local good = case.directly[1] == 200
        local expected = { table.unpack(case.directly) }
        if good then expected[#expected + 1] = 200 end
        assert.same(expected, statuses)
        assert.same(good and #case.means + 1 or 0, #seen)
        assert(is_allowed(seen, case.means), ml.json.encode(seen))
        check_others(port, seen, case)
      end)
    end)
  end

  it("reaches the app behind nginx as what it means, or not at all", function()
    if not nginx.is_there() then return pending "nginx is not installed" end
    local text = documented.blocks(PAGE, "nginx")[1]
    check_behind(nginx.start, text)
    local streamed, n = text:gsub("proxy_read_timeout", "proxy_request_buffering off;\n    %0") -- passes chunks on
    assert.equal(1, n)
    check_behind(nginx.start, streamed)
  end)

  it("reaches the app behind HAProxy as what it means, or not at all", function()
    if not haproxy.is_there() then return pending "HAProxy is not installed" end
    local text, n = documented.blocks(PAGE, "haproxy")[1]:gsub("\nbackend app\n", "%0  http-reuse always\n")
    assert.equal(1, n)
    check_behind(haproxy.start, text)
  end)
end)
