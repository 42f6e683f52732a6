-- ml.net.udp: datagrams.
local ml = require "moonloop"
local support = require "spec.support"

local function raised(f, ...)
  local ok, err = ml.catch(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

--- Calls body(a, b, port of a, port of b) with two sockets on 127.0.0.1.
local function with_pair(body)
  return function()
    local a <close> = assert(ml.net.udp { host = "127.0.0.1" })
    local b <close> = assert(ml.net.udp { host = "127.0.0.1" })
    body(a, b, select(2, a:address()), select(2, b:address()))
  end
end

describe("a socket of UDP", function()
  it("sends to hosts, and receives from them", with_pair(function(a, b, port, other_port)
    assert.equal(a, a:send("hello", "127.0.0.1", other_port))
    assert.same({ "hello", "127.0.0.1", port, false }, { b:receive() })
    b:send("", "localhost", port)
    assert.same({ "", "127.0.0.1", other_port, false }, { a:receive() })
    local long = support.xs(60000)
    a:send(long, "127.0.0.1", other_port)
    local data, _, _, truncated = b:receive()
    assert.equal(long, data)
    assert.is_false(truncated)
  end))

  it("says that a datagram was longer than what was kept of it", with_pair(function(a, b, _, port)
    a:send("abcdef", "127.0.0.1", port)
    a:send("abc", "127.0.0.1", port)
    local data, _, _, truncated = b:receive(3)
    assert.same({ "abc", true }, { data, truncated })
    data, _, _, truncated = b:receive(3)
    assert.same({ "abc", false }, { data, truncated })
  end))

  it("takes both families where it has no host", function()
    local a <close> = assert(ml.net.udp())
    local b <close> = assert(ml.net.udp { host = "127.0.0.1" })
    local _, port = a:address()
    b:send("from 4", "127.0.0.1", port)
    local data, host, from = a:receive()
    assert.same({ "from 4", "127.0.0.1" }, { data, host })
    a:send("to 4", host, from)
    assert.same({ "to 4", "127.0.0.1", port, false }, { b:receive() })
    local six = ml.net.udp { host = "::1" }
    if not six then return end
    local _ <close> = six
    six:send("from 6", "::1", port)
    data, host = a:receive()
    assert.same({ "from 6", "::1" }, { data, host })
  end)

  it("goes on after an ICMP error", with_pair(function(a, b, port, other_port)
    local gone = assert(ml.net.udp { host = "127.0.0.1" })
    local _, nobody = gone:address()
    gone:close()
    for _ = 1, 3 do assert.equal(a, a:send("x", "127.0.0.1", nobody)) end
    b:send("y", "127.0.0.1", port)
    assert.equal("y", (a:receive()))
    assert.equal(a, a:connect("127.0.0.1", nobody))
    for _ = 1, 3 do assert.equal(a, a:send "x") end
    local data, err = a:receive()
    assert.is_nil(data)
    assert.same({ "network", "ECONNREFUSED" }, { err.kind, err.code })
    assert.equal(a, a:connect("127.0.0.1", other_port))
    a:send "z"
    assert.equal("z", (b:receive()))
    b:send("w", "127.0.0.1", port)
    repeat data = a:receive() until data -- errors of what was sent to nobody
    assert.equal("w", data)
  end))

  it("receives from its peer alone once it is connected", with_pair(function(a, b, port, other_port)
    local c <close> = assert(ml.net.udp { host = "127.0.0.1" })
    assert.equal(a, a:connect("127.0.0.1", other_port))
    c:send("not for you", "127.0.0.1", port)
    b:send("yes", "127.0.0.1", port)
    assert.equal("yes", (a:receive()))
  end))

  it("joins groups", function()
    local a <close> = assert(ml.net.udp { reuse_address = true })
    local ok, err = a:join "239.255.77.88"
    if not ok then return pending("no multicast here: " .. tostring(err)) end
    assert.matches("joining the group 127.0.0.1", tostring(select(2, a:join "127.0.0.1")))
  end)

  it("wakes who waits when it is closed, and loses nothing by a cancel", with_pair(function(a, b, _, port)
    local task = ml.spawn(function() return b:receive() end)
    ml.sleep(0)
    task:cancel()
    ml.catch(task.await, task)
    a:send("kept", "127.0.0.1", port)
    assert.equal("kept", (b:receive()))
    local waiting = ml.spawn(function() return select(2, b:receive()) end)
    ml.sleep(0)
    b:close()
    b:close()
    assert.equal("closed", waiting:await().kind)
    assert.equal("closed", select(2, b:receive()).kind)
    assert.equal("closed", select(2, b:send("x", "127.0.0.1", port)).kind)
    assert.same({}, { b:address() })
  end))

  it("says why there is none, or why it cannot send", with_pair(function(a, _, port)
    local none, err = ml.net.udp { host = "127.0.0.1", port = port }
    assert.is_nil(none)
    assert.equal("EADDRINUSE", err.code)
    assert.equal("EMSGSIZE", select(2, a:send(support.xs(70000), "127.0.0.1", port)).code)
    assert.equal("dns", select(2, a:send("x", "no-such-host.invalid", 1)).kind)
    assert.matches("string expected, got nil", raised(a.send, a))
    assert.matches("a port expected", raised(a.send, a, "x", "localhost"))
    assert.matches("unknown option 'hots'", raised(ml.net.udp, { hots = "x" }))
    assert.matches("expected an address", raised(ml.net.udp, { host = "localhost" }))
    assert.matches("from 1 to 65536", raised(a.receive, a, 0))
  end))
end)
