-- `moonloop serve --sandbox`: what machine code in one process cannot do to sockets that others have, too.
local common = require "spec.support"
local call = require "system_call"
local json = require "moonloop.json"
local ml = require "moonloop"
local served = require "spec.support.served"
local web = require "spec.support.web"

local OUTSIDE = common.binary:match "^(.*)/" -- of what a sandbox opens
local LANDLOCK_CREATE_RULESET = 444
local has_landlock = call(LANDLOCK_CREATE_RULESET, 0, 0, 1)

-- Makes the system calls of the body's list, each a list; and receives a datagram that it sends to itself.
local app = ([[
  package.cpath = "%s/spec/?.so;" .. package.cpath
  local ml = require "moonloop"
  local call = require "system_call"
  local app = ml.web.app()
  app:post("/", function(req)
    local list = req:json()
    for i, args in ipairs(list) do
      local result, why = call(table.unpack(args))
      list[i] = result or why
    end
    return list
  end)
  app:get("/datagram", function()
    local udp <close> = assert(ml.net.udp { host = "127.0.0.1" })
    local host, port = udp:address()
    local results = {}
    for _, max in ipairs { 5, 3 } do
      assert(udp:send("hello", host, port))
      local data, from, at, cut = udp:receive(max)
      results[#results + 1] = { data, from, at == port, cut }
    end
    return results
  end)
  app:get("/names", function() return assert(ml.net.resolve "localhost") end)
  return app
]]):format(OUTSIDE)
local files = { ["app.lua"] = app }
local options = ("--sandbox-read '%s/spec' "):format(OUTSIDE)

-- Constants of Linux.
local AF_UNSPEC, BOTH_WAYS, F_DUPFD, F_GETFL, F_SETFL, O_NONBLOCK = 0, 2, 0, 3, 4, 2048
local SOL_SOCKET, SO_ATTACH_FILTER, IPPROTO_IP, IP_TTL = 1, 26, 0, 2
local FIONBIO, SIGCHLD, AF_UNIX, STREAM = 0x5421, 17, 1, 1
local NUL = "\0"

local function post(server, list)
  local res = assert(web.post(server.port, "/", json.encode(list), "Content-Type: application/json\r\n"))
  return json.decode(res.body)
end

describe("machine code in the sandbox", function()
  if not has_landlock then return pending "this kernel has no Landlock" end

  -- The first of the listening sockets has a number that is fixed: systemd's, or the supervisor's.
  for _, case in ipairs { { 7, "--workers 2 " }, { 3, "", "--socket a=0 " } } do
    local fd, given, through = table.unpack(case)
    it(("cannot change a socket on which others listen, too (%s)"):format(given), function()
      local server <close> = served.start_at(through and "" or "--port 0", files, options .. given, through)
      local expected, list = {}, {}
      local function gives(result, ...)
        list[#list + 1] = { ... }
        expected[#expected + 1] = result
      end
      local set = NUL:rep(16)
      gives("EPERM", "shutdown", fd, BOTH_WAYS)
      gives("EPERM", "connect", fd, (string.pack("=I2", AF_UNSPEC) .. set), 16)
      gives("EPERM", "listen", fd, 0)
      gives("EPERM", "bind", fd, set, 16)
      gives("EPERM", "setsockopt", fd, IPPROTO_IP, IP_TTL, "\1" .. NUL:rep(3), 4)
      gives("EPERM", "fcntl", fd, F_SETFL, 0) -- to block those who accept
      gives("ENOTTY", "ioctl", fd, FIONBIO, NUL:rep(4))
      -- Nor does it get another number.
      gives("EPERM", "dup", fd)
      gives("EPERM", "dup3", fd, 100, 0)
      gives("EPERM", "fcntl", fd, F_DUPFD, 100)
      gives("EPERM", "recvmsg", fd, NUL:rep(56), 0)
      gives("EPERM", "recvmmsg", fd, NUL:rep(64), 1, 0, NUL:rep(16))
      -- What the server itself does.
      gives(0, "fcntl", fd, F_SETFL, O_NONBLOCK)
      assert.same(expected, post(server, list))
      assert.is_number(post(server, { { "fcntl", fd, F_GETFL, 0 } })[1])
      for _ = 1, 20 do assert.equal(404, server:get "/nowhere".status) end
    end)
  end

  it("cannot have the kernel run a program on a socket, nor leave a process behind", function()
    for _, given in ipairs { "", "--workers 1" } do
      local server <close> = served.start(files, options .. given)
      local socket = post(server, { { "socket", AF_UNIX, STREAM, 0 } })[1]
      assert.same({ "EPERM", "EPERM" }, post(server, {
        { "setsockopt", socket, SOL_SOCKET, SO_ATTACH_FILTER, NUL:rep(16), 16 },
        { "clone", SIGCHLD, 0, 0, 0, 0 },
      }), given)
    end
  end)

  it("lets datagrams be received, and names be looked up, by workers", function()
    local server <close> = served.start(files, options .. "--workers 1")
    assert.same({ { "hello", "127.0.0.1", true, false }, { "hel", "127.0.0.1", true, true } },
      json.decode(server:get "/datagram".body))
    assert.equal(json.encode(assert(ml.net.resolve "localhost")), server:get "/names".body)
  end)
end)
