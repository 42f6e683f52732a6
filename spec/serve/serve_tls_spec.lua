--- `moonloop serve` with certificates: alone and with workers, and certificates that are read again.
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local served = require "spec.support.served"
local tls = require "spec.support.tls"

local APP = [[
local ml = require "moonloop"
local app = ml.web.app()
app:get("/", function(req) return req.scheme .. " " .. req.url .. " " .. (os.getenv "MOONLOOP_WORKER" or "-") end)
return app
]]

describe("serve with certificates", function()
  if not tls.is_there() then return pending "openssl is not installed" end
  local made = tls.certificates { one = {}, two = { names = { "DNS:two.example" } } }
  teardown(function() made:close() end)

  local function start(options, files)
    files = files or {}
    files["app.lua"] = files["app.lua"] or APP
    for _, name in ipairs { "one", "two" } do
      for kind, path in pairs(made[name]) do files[name .. "." .. kind] = folders.read(path) end
    end
    return served.start(files, options)
  end

  local ONE = "--tls-cert one.cert --tls-key one.key"

  local function subject(server, ...) return tls.get(server.port, "/", ...):match "subject=CN = (%w+)" end

  it("speaks https, and says so", function()
    local server <close> = start(ONE)
    assert.matches("on https://127.0.0.1:%d+ ", server.line)
    local text = tls.get(server.port, "/", "-CAfile", made.ca, "-verify_return_error")
    assert.matches("https https://localhost/", text, 1, true)
  end)

  it("takes several, by the names that clients ask for", function()
    local server <close> = start(ONE .. " --tls-cert=two.cert --tls-key=two.key")
    assert.equal("one", subject(server))
    assert.equal("two", subject(server, "-servername", "two.example"))
  end)

  it("uses those of the app, whose other options of TLS stay with others of the command line", function()
    local files = { ["app.lua"] = APP:gsub("app%(%)",
      'app { tls = { cert = "one.cert", key = "one.key", min_version = "1.3" } }') }
    local server <close> = start("", files)
    assert.matches("on https://", server.line, 1, true)
    assert.equal("one", subject(server))
    local other <close> = start("--tls-cert two.cert --tls-key two.key", files)
    assert.equal("two", subject(other))
    assert.not_matches("https://localhost", tls.get(other.port, "/", "-tls1_2"), 1, true)
  end)

  it("speaks TLS on the addresses that are marked, and on all if none is", function()
    local server <close> = start(ONE, nil)
    assert.equal("one", subject(server))
    local folder <close> = folders.new { ["app.lua"] = APP }
    local both <close> = process.start(("serve app.lua --listen 127.0.0.1:0 --listen 127.0.0.1:0,tls "
      .. "--tls-cert %s --tls-key %s"):format(made.one.cert, made.one.key), ("cd '%s';"):format(folder.path))
    local line = both:line()
    assert.matches("http://127.0.0.1:%d+", line)
    assert.equal("one", subject { port = line:match "https://127.0.0.1:(%d+)" })
  end)

  it("reads them again at SIGHUP, and keeps them if they are bad", function()
    local server <close> = start(ONE)
    assert.equal("one", subject(server))
    server:write("one.cert", "nothing")
    server:kill "HUP"
    assert.matches("one.cert", server:wait_for "the certificates stay as they were", 1, true)
    assert.equal("one", subject(server))
    server:write("one.cert", folders.read(made.two.cert))
    server:write("one.key", folders.read(made.two.key))
    server:kill "HUP"
    server:wait_for "the certificates have been read again"
    assert.equal("two", subject(server))
    server:kill "TERM"
    assert.equal(0, (server:finish()))
  end)

  it("still ends at SIGHUP without TLS", function()
    local server <close> = start ""
    server:kill "HUP"
    assert.equal(0, (server:finish()))
  end)

  it("has workers resume each other's sessions, and read them again at SIGUSR2 to the supervisor", function()
    local server <close> = start("--workers 2 " .. ONE)
    assert.matches("on https://127.0.0.1:%d+ ", server.line)
    local session <close> = folders.file ""
    assert.matches("\nNew, ", tls.get(server.port, "/", "-sess_out", session.path))
    local workers = {}
    served.wait_until("one worker had all the clients", function()
      local text = tls.get(server.port, "/", "-sess_in", session.path)
      assert.matches("\nReused, ", text)
      workers[text:match "https://localhost/ (%d)"] = true
      return workers["1"] and workers["2"]
    end)
    server:write("one.cert", folders.read(made.two.cert))
    server:write("one.key", folders.read(made.two.key))
    server:kill "USR2"
    server:wait_for("the certificates have been read again", 2)
    assert.equal("two", subject(server))
  end)

  it("does not start with a bad one", function()
    local out, status = process.sh(("timeout 60 %s serve %s --port 0 --tls-cert %s --tls-key %s"):format(
      process.quote(require "spec.support".binary), "scripts/examples/app.lua", made.one.cert, made.two.key))
    assert.equal(1, status)
    assert.matches("does not belong to the certificate", out, 1, true)
  end)

  it("says what is wrong with the options", function()
    local function wrong(options, pattern)
      local out, status = process.sh(("timeout 60 %s serve app.lua %s"):format(
        process.quote(require "spec.support".binary), options))
      assert.equal(2, status)
      assert.matches(pattern, out, 1, true)
    end
    wrong("--tls-cert a", "each --tls-cert needs its --tls-key: there are 1 and 0")
    wrong("--tls-key a", "each --tls-cert needs its --tls-key: there are 0 and 1")
    wrong("--tls-crt a", "did you mean '--tls-cert'?")
  end)
end)
