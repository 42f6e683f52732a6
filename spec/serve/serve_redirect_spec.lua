-- `moonloop serve --redirect-https PORT`: a port whose clients are only sent to https.
local http2 = require "spec.support.http2"
local served = require "spec.support.served"
local web = require "spec.support.web"

local app = [[
  local app = require "moonloop".web.app()
  app:get("/", function() return "hello" end)
  return app
]]

for _, options in ipairs { "", "--workers 1" } do
  describe(("serve --redirect-https (%s)"):format(options), function()
    it("answers with the same host, path and query by https", function()
      local server <close> = served.start_at("--listen 127.0.0.1:0 --redirect-https 0", { ["app.lua"] = app }, options)
      local port = tonumber(server.line:match "and http://127.0.0.1:(%d+)")
      local function location(target, host, method)
        local res = assert(web.ask(port, ("%s %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(method or "GET", target, host)))
        return res.status .. " " .. tostring(res.headers.location)
      end
      assert.equal("308 https://example.com/", location("/", "example.com"))
      assert.equal("308 https://example.com/a%20b/?q=1&r", location("/a%20b/?q=1&r", "example.com:8080"))
      assert.equal("308 https://[::1]/x", location("/x", "[::1]:80"))
      assert.equal("308 https://other/y?z", location("http://other:80/y?z", "example.com"))
      assert.equal("308 https://example.com/form", location("/form", "example.com", "DELETE"))
      assert.equal("400 nil", location("/", "a b"))
      assert.equal(400, assert(web.ask(port, "GET / HTTP/1.0\r\n\r\n")).status)
      assert.equal(400, assert(web.ask(port, "GET / HTTP/1.1\r\n\r\n")).status)
      local body = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
      assert.equal("https://h/p", assert(web.ask(port, body)).headers.location)
      assert.equal("hello", server:get().body)
      server:kill "TERM"
      assert.equal(0, (server:finish()))
    end)

    it("answers in the same way over HTTP/2", function()
      local server <close> = served.start_at("--listen 127.0.0.1:0 --redirect-https 0 --http2 clear",
        { ["app.lua"] = app }, options)
      do
        local client <close> = http2.connect(tonumber(server.line:match "and http://127.0.0.1:(%d+)"))
        assert.equal(308, (client:response(client:ask("GET", "/a?b"))))
        assert.equal(308, (client:response(client:ask("DELETE", "/"))))
      end
      local client <close> = http2.connect(server.port)
      assert.same({ 200, "hello" }, { client:response(client:ask("GET", "/")) })
    end)
  end)
end
