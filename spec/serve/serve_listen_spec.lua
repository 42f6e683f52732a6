-- Where `moonloop serve` listens: addresses, Unix sockets, descriptors, sockets that systemd passes.
local common = require "spec.support"
local folders = require "spec.support.folder"
local lfs = require "lfs"
local ml = require "moonloop"
local processes = require "spec.support.process"
local served = require "spec.support.served"
local web = require "spec.support.web"

local app = [[
  local app = require "moonloop".web.app()
  local held = {}
  for _, name in ipairs { "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" } do held[#held + 1] = os.getenv(name) end
  app:get("/", function() return "hello" end)
  app:get("/environment", function() return #held .. " variables" end)
  return app
]]
local files = { ["app.lua"] = app }

-- What a `serve` with these options, which does not start, says.
local function refused(options, before)
  local folder <close> = folders.new(files)
  if before then before(folder.path) end
  local output, status = processes.sh(("cd '%s' && timeout 60 '%s' serve app.lua %s"):format(folder.path, common.binary,
    options))
  return output, status
end

local function is_socket(path) return lfs.symlinkattributes(path, "mode") == "socket" end

for _, options in ipairs { "", "--workers 2" } do
  describe(("serve --listen (%s)"):format(options), function()
    it("listens on several addresses, and says where", function()
      local server <close> = served.start_at("--listen 127.0.0.1:0 --listen=unix:app.sock", files, options)
      assert.matches(": serving app.lua on http://127.0.0.1:%d+ and unix:app.sock ", server.line)
      assert.equal("hello", server:get().body)
      assert.equal("hello", server:get_from "app.sock".body)
      server:kill "TERM"
      assert.equal(0, (server:finish()))
      assert.is_nil(lfs.symlinkattributes(server.path .. "/app.sock"))
    end)

    it("listens on all addresses", function()
      local server <close> = served.start_at("--listen :0", files, options)
      assert.matches("^moonloop %S+: serving app.lua on http://%S+:%d+ ", server.line)
      assert.equal("hello", server:get().body)
      assert.matches("on http://%[::%]:", server.line)
    end)

    it("replaces the socket file that a server has left behind", function()
      local server <close> = served.start_at("--listen unix:app.sock", files, options)
      local path = server.path .. "/app.sock"
      local second <close> = processes.start(("serve %s/app.lua --listen unix:%s"):format(server.path, path))
      assert.matches("cannot listen on unix:.*/app.sock: address already in use\n", select(3, second:wait()))
      assert.equal("hello", server:get_from "app.sock".body)
      server:kill "KILL"
      served.wait_until("it still answers", function() return not common.rawtcp.connect(path) end)
      assert.is_true(is_socket(path))
      local third <close> = processes.start(("serve %s/app.lua --listen unix:%s"):format(server.path, path))
      assert.matches("serving", third:line())
      assert.equal("hello", server:get_from "app.sock".body)
      assert.equal(0, select(2, third:stop()))
      assert.is_false(is_socket(path))
    end)

    it("leaves a socket file that another server has put in the place of its own", function()
      local server <close> = served.start_at("--listen unix:app.sock", files, options)
      local path = server.path .. "/app.sock"
      os.remove(path)
      local second <close> = processes.start(("serve %s/app.lua --listen unix:%s"):format(server.path, path))
      assert.matches("serving", second:line())
      server:kill "TERM"
      assert.equal(0, (server:finish()))
      assert.equal("hello", server:get_from "app.sock".body)
    end)

    it("gives the socket file its mode", function()
      local server <close> = served.start_at("--listen unix:app.sock,mode=620", files, options)
      assert.equal("rw--w----", lfs.attributes(server.path .. "/app.sock", "permissions"))
    end)

    it("takes a descriptor that it was started with", function()
      local server <close> = served.start_at("--listen fd:4", files, options, "--plain --socket a=0 --socket b=0")
      assert.equal("hello", server:get().body)
      server:kill "TERM"
      assert.equal(0, (server:finish()))
    end)

    it("takes the sockets that systemd passes, and their variables out of the environment", function()
      local folder <close> = folders.new {}
      local path = folder.path .. "/passed.sock"
      local server <close> = served.start_at("", files, options, "--socket a=0 --socket b=" .. path)
      assert.equal("hello", server:get().body)
      assert.equal("hello", assert(web.ask(path, web.request("GET", "/"))).body)
      assert.equal("0 variables", server:get "/environment".body)
      server:kill "TERM"
      assert.equal(0, (server:finish()))
      assert.is_true(is_socket(path)) -- it is systemd's
    end)

    it("takes those of a name", function()
      local server <close> = served.start_at("--listen fd:web --listen 127.0.0.1:0", files, options,
        "--socket web=0 --socket other=0 --socket web=0")
      local where = {}
      for address in server.line:gmatch "http://127.0.0.1:%d+" do where[#where + 1] = address end
      assert.equal(3, #where)
      for _, address in ipairs(where) do assert.equal("hello", assert(ml.http.get(address)).body) end
    end)

    it("loses no request of its socket while it starts new workers", function()
      if options == "" then return end
      local server <close> = served.start_at("--listen 127.0.0.1:0 --listen unix:app.sock", files, options)
      local stop, tasks = false, {}
      for _, where in ipairs { server.port, server.path .. "/app.sock" } do
        tasks[#tasks + 1] = ml.spawn(function()
          local n = 0
          while not stop do
            assert.equal("hello", assert(web.get(where, "/")).body)
            n = n + 1
          end
          return n
        end)
      end
      server:kill "HUP"
      server:wait_for "reloaded: 2 new workers of generation 2"
      server:kill "HUP"
      server:wait_for "reloaded: 2 new workers of generation 3"
      stop = true
      for _, task in ipairs(tasks) do assert.is_true(task:await() > 0) end
    end)
  end)
end

describe("serve --listen", function()
  it("refuses what is no address, and says what one is", function()
    for text, message in pairs {
      ["8000"] = "expected HOST:PORT, %[IPv6%]:PORT, :PORT, unix:PATH or fd:N",
      ["::1:80"] = "an IPv6 address is written as %[ADDRESS%]:PORT",
      ["[::1:80"] = "an IPv6 address is written as %[ADDRESS%]:PORT",
      ["127.0.0.1:70000"] = "the port must be a number from 0 to 65535",
      ["127.0.0.1:"] = "the port must be a number from 0 to 65535",
      [":80,mode=660"] = "only a Unix socket has a mode",
      [":80,ssl"] = "only ,tls and, for a Unix socket, ,mode= may follow",
      ["unix:"] = "the path behind unix: is missing",
      ["unix:/x,mode=9"] = "mode= takes permissions in octal",
      ["unix:/" .. ("x"):rep(107)] = "at most 107 bytes",
      ["fd:3x"] = "the number of a descriptor, or a name",
    } do
      local output, status = refused(("--listen '%s'"):format(text))
      assert.equal(2, status)
      assert.matches("serve: %-%-listen [^\n]*: [^\n]*" .. message, output)
    end
  end)

  it("takes the place of --host and --port", function()
    for _, options in ipairs { "--port 0 --listen :0", "--listen :0 --host localhost" } do
      assert.matches("serve: %-%-listen takes the place of %-%-host and %-%-port\n", (refused(options)))
    end
    local server <close> = served.start_at("--port 0", files, "", "--socket a=0")
    assert.matches("systemd has passed sockets: leave %-%-host and %-%-port out", select(3, server.process:wait()))
  end)

  it("says what is wrong with a socket", function()
    for options, message in pairs {
      ["--listen fd:99999"] = "fd:99999: bad file descriptor",
      ["--listen fd:2"] = "fd:2: it is not a socket",
      ["--listen fd:web"] = "fd:web: systemd has passed no socket of that name",
      ["--listen unix:app.lua"] = "unix:app.lua: the file exists, and is not a socket",
      ["--listen unix:nowhere/app.sock"] = "unix:nowhere/app.sock: no such file or directory",
    } do
      local output, status = refused(options)
      assert.equal("moonloop: cannot listen on " .. message .. "\n", output)
      assert.equal(1, status)
    end
  end)

  it("is ml.web.listen's option 'listen'", function()
    local folder <close> = folders.new {}
    local path = folder.path .. "/app.sock"
    local simple = ml.web.app()
    simple:get("/", function() return "hello" end)
    local server = assert(ml.web.listen(simple, { listen = { "127.0.0.1:0", "unix:" .. path, ":0" } }))
    assert.equal(3, #server.addresses)
    assert.equal("http://127.0.0.1:" .. server.port, server.addresses[1])
    assert.equal("unix:" .. path, server.addresses[2])
    for _, where in ipairs { server.port, path, tonumber(server.addresses[3]:match "%d+$") } do
      assert.equal("hello", assert(web.get(where, "/")).body)
    end
    local none, err = ml.web.listen(simple, { listen = { "127.0.0.1:0", "unix:" .. path } })
    assert.is_nil(none)
    assert.equal("network EADDRINUSE", err.kind .. " " .. err.code)
    assert.equal(("cannot listen on unix:%s: address already in use"):format(path), err.message)
    server:stop(0)
    assert.is_nil(lfs.symlinkattributes(path))
    assert.same({}, server.addresses)
  end)

  it("is checked where ml.web.listen is called", function()
    for message, opts in pairs {
      ["'listen' takes the place of 'host' and 'port'"] = { listen = { ":0" }, port = 0 },
      ["a list of addresses; 80: expected HOST:PORT"] = { listen = { "80" } },
      ["a list of addresses; true: each is a string"] = { listen = { true } },
      ["a list of addresses, such as"] = { listen = ":0" },
      ["a list of addresses; fd:web: fd: takes the number of a descriptor"] = { listen = { "fd:web" } },
    } do
      local ok, err = pcall(ml.web.listen, ml.web.app(), opts)
      assert.is_false(ok)
      assert(tostring(err):find(message, 1, true), tostring(err))
    end
  end)
end)
