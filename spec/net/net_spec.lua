-- ml.net.connect and ml.net.listen: addresses, options, tasks of connections, limits, Unix sockets.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local lfs = require "lfs"
local process = require "spec.support.process"
local support = require "spec.support"

--- What `f` raises.
local function raised(f, ...)
  local ok, err = ml.catch(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

--- Calls body(server, connect): connect() gives a new connection to it.
local function with_server(opts, f, body)
  local server <close> = assert(ml.net.listen("127.0.0.1", 0, opts, f))
  local host, port = server:address()
  return body(server, function(more) return assert(ml.net.connect(host, port, more)) end, port)
end

local function echo(conn)
  for line in conn:lines "L" do conn:write(line) end
end

describe("ml.net.listen with a function", function()
  it("gives each connection a task, which closes it", function()
    with_server(nil, function(conn)
      conn:write("hello ", conn:read(), "\n")
    end, function(_, connect)
      for i = 1, 3 do
        local conn <close> = connect()
        conn:write(i, "\n")
        assert.equal("hello " .. i .. "\n", conn:read "a")
      end
    end)
  end)

  it("serves many at a time", function()
    with_server(nil, echo, function(_, connect)
      local list = {}
      for i = 1, 50 do list[i] = connect() end
      for i = 50, 1, -1 do list[i]:write(i, "\n") end
      for i = 1, 50 do
        assert.equal(tostring(i), list[i]:read())
        list[i]:close()
      end
    end)
  end)

  it("reports an error, which costs that connection alone", function()
    local reports <close> = support.keep_reports()
    with_server(nil, function(conn)
      if conn:read() == "fail" then error "a mistake" end
      conn:write "ok"
    end, function(_, connect)
      local good <close> = connect()
      local bad <close> = connect()
      bad:write "fail\n"
      assert.is_nil(bad:read())
      good:write "\n"
      assert.equal("ok", good:read "a")
      while not reports:text():find "a mistake" do ml.sleep(0.01) end
      assert.matches("spawned at spec/net/net_spec.lua:%d+", reports:text())
    end)
  end)

  it("gives the tasks of its connections the line that listens", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn) conn:read() end))
    local conn <close> = assert(ml.net.connect(server:address()))
    assert.equal("127.0.0.1", conn:peer())
    local reads
    repeat
      ml.sleep(0.01)
      for _, task in ipairs(ml.tasks()) do
        local what = task.waiting_for or ""
        if what:find "^a line from the connection to 127" then reads = task end
        if what == "a connection to accept" then
          assert.equal("spec/net/net_spec.lua:" .. line, task.spawned_at)
        end
      end
    until reads
    assert.equal("spec/net/net_spec.lua:" .. line, reads.spawned_at)
  end)

  it("is over for whoever waits when it has been stopped and its connections are over", function()
    with_server(nil, echo, function(server, connect)
      local conn <close> = connect()
      conn:write "a\n"
      assert.equal("a", conn:read())
      local waiting = ml.spawn(function()
        server:wait()
        return "over"
      end)
      local stopping = ml.spawn(function() server:stop(60) end)
      assert.equal("closed", select(2, server:accept()).kind)
      conn:write "b\n" -- goes on while it drains
      assert.equal("b", conn:read())
      assert.equal("suspended", waiting:status())
      conn:close()
      stopping:await()
      assert.equal("over", waiting:await())
    end)
  end)

  it("cancels what goes on longer than it drains", function()
    local begun, ended
    with_server(nil, function(conn)
      begun = true
      local _ <close> = setmetatable({}, { __close = function(_, err) ended = err and err.kind end })
      conn:read()
    end, function(server, connect)
      local conn <close> = connect()
      while not begun do ml.sleep(0) end
      server:stop(0.01)
      assert.is_nil(conn:read())
    end)
    assert.equal("cancelled", ended)
  end)

  it("ends with the task that listens", function()
    local conn
    local task = ml.spawn(function()
      local server = assert(ml.net.listen("127.0.0.1", 0, echo))
      local host, port = server:address()
      local first = assert(ml.net.connect(host, port))
      first:write "x\n"
      first:read()
      conn = first
      ml.sleep(1000)
    end)
    while not conn do ml.sleep(0) end
    local other <close> = conn
    task:cancel()
    ml.catch(task.await, task)
    assert.is_nil(other:read())
  end)

  it("has at most max_connections, and others wait", function()
    with_server({ max_connections = 2 }, echo, function(_, connect)
      local a, b, c = connect(), connect(), connect()
      for _, conn in ipairs { a, b, c } do conn:write "x\n" end
      assert.equal("x", a:read())
      assert.equal("x", b:read())
      local third = ml.spawn(function() return c:read() end)
      for _ = 1, 50 do ml.sleep(0) end
      assert.equal("suspended", third:status())
      a:close()
      assert.equal("x", third:await())
      b:close()
      c:close()
    end)
  end)
end)

describe("ml.net.listen without a function", function()
  it("is for accept, and for a loop over connections", function()
    with_server({ max_line = 5, backlog = 8, reuse_port = true }, nil, function(server, connect)
      local a <close> = connect()
      local b <close> = server:accept()
      assert.equal(5, b.max_line)
      assert.same({ a:address() }, { b:peer() })
      assert.same({ a:peer() }, { b:address() })
      assert.same({ server:address() }, { a:peer() })
      local c <close> = connect()
      c:write "x"
      local n = 0
      for conn in server:connections() do
        n = n + 1
        assert.equal("x", conn:read(1))
        conn:close()
        server:stop()
      end
      assert.equal(1, n)
      local conn, err = server:accept()
      assert.is_nil(conn)
      assert.equal("closed", err.kind)
    end)
  end)

  it("wakes those who wait when it is stopped, and loses no connection by a cancel", function()
    with_server(nil, nil, function(server, connect)
      local first = ml.spawn(function() return server:accept() end)
      local second = ml.spawn(function() return server:accept() end)
      ml.sleep(0)
      first:cancel()
      ml.catch(first.await, first)
      local conn <close> = connect()
      local other <close> = second:await()
      conn:write "x"
      assert.equal("x", other:read(1))
      local third = ml.spawn(function() return select(2, server:accept()) end)
      ml.sleep(0)
      server:stop()
      assert.equal("closed", third:await().kind)
    end)
  end)

  it("says why it cannot listen", function()
    with_server(nil, nil, function(_, _, port)
      local server, err = ml.net.listen("127.0.0.1", port)
      assert.is_nil(server)
      assert.equal("network", err.kind)
      assert.equal("EADDRINUSE", err.code)
      assert.matches("listening on 127.0.0.1 port " .. port, err.message)
    end)
    assert.equal("dns", select(2, ml.net.listen("no-such-host.invalid", 0)).kind)
  end)

  it("takes names, all addresses, and IPv6", function()
    for _, host in ipairs { "localhost", "*", "0.0.0.0" } do
      local server <close> = assert(ml.net.listen(host, 0))
      local conn <close> = assert(ml.net.connect("127.0.0.1", (select(2, server:address()))))
      local other <close> = server:accept()
      assert.equal("127.0.0.1", (conn:peer()))
      assert.truthy(other:peer())
    end
  end)
end)

describe("a Unix socket", function()
  it("is listened on and connected to, with a mode, and its file is removed", function()
    local folder <close> = folders.new {}
    local path = folder.path .. "/app.sock"
    local server = assert(ml.net.listen("unix:" .. path, { mode = tonumber("600", 8) }, echo))
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    assert.same({ "unix:" .. path }, { server:address() })
    local conn <close> = assert(ml.net.connect("unix:" .. path))
    conn:write "hello\n"
    assert.equal("hello", conn:read())
    assert.same({ "unix:" .. path }, { conn:peer() })
    for name, value in pairs { bind = "127.0.0.1", nodelay = true, keepalive = 5 } do
      local ok, problem = pcall(ml.net.connect, "unix:" .. path, { [name] = value })
      assert.is_false(ok)
      assert.matches("net_spec.lua:%d+: ml.net.connect: the option '" .. name .. "' is for TCP, and \"unix:", problem)
    end
    local other, err = ml.net.listen("unix:" .. path)
    assert.is_nil(other)
    assert.equal("EADDRINUSE", err.code)
    server:stop()
    assert.is_nil(lfs.attributes(path))
    assert.equal("ENOENT", select(2, ml.net.connect("unix:" .. path)).code)
  end)

  it("replaces the file of one that has ended, and no other file", function()
    local folder <close> = folders.new { ["a.txt"] = "text" }
    local path = folder.path .. "/app.sock"
    local script = ("local s = assert(require 'moonloop'.net.listen('unix:%s')) os.exit(0, false)"):format(path)
    process.sh(("%s -e %s; true"):format(process.quote(support.binary), process.quote(script)))
    if not lfs.attributes(path) then -- however it ended: the file of a server that nobody stopped
      local server = assert(ml.net.listen("unix:" .. path))
      os.rename(path, path .. ".kept")
      server:stop()
      os.rename(path .. ".kept", path)
    end
    assert.equal("socket", lfs.attributes(path, "mode"))
    local server <close> = assert(ml.net.listen("unix:" .. path))
    local conn <close> = assert(ml.net.connect("unix:" .. path))
    local _ <close> = server:accept()
    local none, err = ml.net.listen("unix:" .. folder.path .. "/a.txt")
    assert.is_nil(none)
    assert.equal("EEXIST", err.code)
    assert.truthy(conn)
  end)

  it("leaves the file alone that somebody else has put in its place", function()
    local folder <close> = folders.new {}
    local path = folder.path .. "/app.sock"
    local first = assert(ml.net.listen("unix:" .. path))
    os.remove(path)
    local second <close> = assert(ml.net.listen("unix:" .. path))
    first:stop()
    local conn <close> = assert(ml.net.connect("unix:" .. path))
    local other <close> = second:accept()
    conn:write "x"
    assert.equal("x", other:read(1))
  end)

  it("is closed by the collector where its server is forgotten", function()
    local folder <close> = folders.new {}
    local path = folder.path .. "/app.sock"
    local reports <close> = support.keep_reports()
    assert(ml.net.listen("unix:" .. path))
    while lfs.attributes(path) do
      collectgarbage()
      ml.sleep(0)
    end
    assert(reports:text() == "" or reports:text():find("was not stopped before it was collected", 1, true))
  end)
end)

describe("ml.net.connect", function()
  it("has options", function()
    with_server(nil, echo, function(_, connect)
      local conn <close> = connect { nodelay = false, keepalive = 60, bind = "127.0.0.2", max_line = 7, timeout = 60 }
      assert.equal("127.0.0.2", (conn:address()))
      assert.equal(7, conn.max_line)
    end)
  end)

  it("says why there is no connection", function()
    local closed = assert(ml.net.listen("127.0.0.1", 0))
    local _, port = closed:address()
    closed:stop()
    local conn, err = ml.net.connect("127.0.0.1", port)
    assert.is_nil(conn)
    assert.same({ "network", "ECONNREFUSED" }, { err.kind, err.code })
    assert.matches("connecting to 127.0.0.1:" .. port, err.message)
    conn, err = ml.net.connect("no-such-host.invalid", 80)
    assert.is_nil(conn)
    assert.equal("dns", err.kind)
    conn, err = ml.net.connect("127.0.0.1", port, { bind = "::1" })
    assert.is_nil(conn)
    assert.equal("EADDRNOTAVAIL", err.code)
  end)

  it("raises mistakes", function()
    for expected, arguments in pairs {
      ["a host expected, got nil"] = {},
      ["a host expected, got number"] = { 80 },
      ["a port expected, got nil"] = { "localhost" },
      ["65536 is not a port"] = { "localhost", 65536 },
      ["port 0 cannot be connected to"] = { "localhost", 0 },
      ["'' is not the name of a host"] = { "", 1 },
      ["the path of a Unix socket"] = { "unix:" },
      ["unknown option 'nodely'.*did you mean 'nodelay'"] = { "localhost", 1, { nodely = true } },
      ["option 'timeout' of ml.net.connect is 0"] = { "localhost", 1, { timeout = 0 } },
      ["option 'bind' of ml.net.connect is a string %(expected an address%)"] = { "a", 1, { bind = "b" } },
      ["option 'max_line' of ml.net.connect is 0"] = { "unix:/x", { max_line = 0 } },
    } do
      assert.matches(expected, raised(ml.net.connect, table.unpack(arguments)))
    end
    assert.matches("a function that takes a connection expected, got string",
      raised(ml.net.listen, "localhost", 0, {}, "x"))
    assert.matches("unknown option 'x' of ml.net.listen", raised(ml.net.listen, "localhost", 0, { x = 1 }))
    assert.matches("only a Unix socket has a mode", raised(ml.net.listen, "localhost", 0, { mode = 384 }))
  end)
end)

describe("ml.net.resolve", function()
  it("gives a list of addresses", function()
    assert.same({ "127.0.0.1" }, ml.net.resolve("localhost", { family = 4 }))
    assert.same({ "127.0.0.1" }, ml.net.resolve "127.0.0.1")
    assert.same({ "::1" }, ml.net.resolve("::1", { family = 6 }))
    local list, err = ml.net.resolve("::1", { family = 4 })
    assert.is_nil(list)
    assert.equal("dns", err.kind)
    assert.equal("dns", select(2, ml.net.resolve "no-such-host.invalid").kind)
    assert.matches("expected 4 or 6", raised(ml.net.resolve, "x", { family = 5 }))
  end)

  it("is cancelled at once", function()
    local task = ml.spawn(ml.net.resolve, "no-such-host.invalid")
    ml.sleep(0)
    task:cancel()
    assert.equal("cancelled", select(2, ml.catch(task.await, task)).kind)
  end)
end)

it("names of ml.net are what tasks wait for", function()
  with_server(nil, nil, function(server, connect)
    local function waits(f)
      local task = ml.spawn(f)
      ml.sleep(0)
      for _, entry in ipairs(ml.tasks()) do
        if entry.id == task.id then
          task:cancel()
          ml.catch(task.await, task)
          return entry.waiting_for
        end
      end
    end
    assert.equal("a connection to accept", waits(function() server:accept() end))
    assert.equal("the addresses of no-such-host.invalid", waits(function() ml.net.resolve "no-such-host.invalid" end))
    assert.equal("a connection to no-such-host.invalid:1",
      waits(function() ml.net.connect("no-such-host.invalid", 1) end))
    local conn <close> = connect()
    assert.matches("^some bytes from the connection to 127.0.0.1:%d+$", waits(function() conn:read_some() end))
    local udp <close> = assert(ml.net.udp())
    assert.equal("a datagram", waits(function() udp:receive() end))
  end)
end)

it("a server whose process has no descriptor left accepts when there are some again", function()
  local script = [[
    local ml = require "moonloop"
    local server = assert(ml.net.listen("127.0.0.1", 0, function(conn) conn:write(conn:read "L") end))
    local host, port = server:address()
    local clients, files = {}, {}
    for i = 1, 3 do clients[i] = assert(ml.net.connect(host, port)) end
    local spare = io.open "/dev/null"
    while true do
      local file = io.open "/dev/null"
      if not file then break end
      files[#files + 1] = file
    end
    spare:close()
    local late = assert(ml.net.connect(host, port)) -- takes the last one
    late:write "late\n"
    for i = 1, 5 do ml.sleep(0) end
    ml.sleep(0.2)
    local cpu = os.clock()
    ml.sleep(0.3)
    io.stderr:write("spins ", tostring(os.clock() - cpu > 0.2), "\n")
    for _, file in ipairs(files) do file:close() end
    print(late:read())
    for i = 1, 3 do clients[i]:write(i, "\n") print(clients[i]:read()) end
    os.exit(0)
  ]]
  local output = process.sh(("ulimit -n 64; timeout 60 %s -e %s 2>&1"):format(
    process.quote(support.binary), process.quote(script)))
  assert.matches("late\n1\n2\n3\n", output)
  assert.matches("a connection cannot be accepted: too many open files", output)
end)
