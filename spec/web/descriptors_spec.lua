--- A server with few descriptors: who gets them, and what becomes of files whose clients are slow.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local http2 = require "spec.support.http2"
local left = require "spec.support.left"
local process = require "spec.support.process"
local rawtcp = require("spec.support").rawtcp
local support = require "spec.support.web"

local request = support.request
local eventually = require("spec.support.tasks").eventually

local MOST = 64
local FOR_FILES = MOST - MOST // 8 // 2 -- numbers below it: descriptor_limit.h
local BIG = ("0123456789abcdef"):rep(8192) -- more than is read in one piece

--- Serves an app with the routes of the source, which sees `app`, and FOLDER with files in it, with few descriptors;
-- calls f(server, folder's path).
local function with_few(source, f)
  local folder <close> = folders.new { ["big.bin"] = BIG, ["small.txt"] = "small",
    ["app.lua"] = 'local ml, FOLDER = require "moonloop", os.getenv "FOLDER"\nlocal app = ml.web.app()\n' .. source ..
      "\nreturn app" }
  local before = ("ulimit -n %d; export FOLDER='%s';"):format(MOST, folder.path)
  local server <close> = process.serve(folder.path .. "/app.lua", "--http2 clear", before)
  f(server, folder.path)
end

local SERVES_FILES = [[
  app:static("/s", FOLDER)
  app:get("/file", function() return ml.web.file(FOLDER .. "/big.bin") end)
]]

--- Connections of HTTP/2 with that many streams each, which ask for the path and take nothing.
local function stuck(port, n, streams, path)
  local clients = {}
  for i = 1, n do
    clients[i] = http2.connect(port, { window = 0 })
    for _ = 1, streams do clients[i]:ask("GET", path) end
    for stream = 1, 2 * streams, 2 do -- the heads need no window
      while not clients[i].statuses[stream] do assert(clients[i]:read()) end
    end
  end
  return clients
end

local function close_all(conns)
  for _, conn in ipairs(conns) do conn:close() end
end

describe("a server with few descriptors", function()
  for what, path in pairs { ["of app:static"] = "/s/big.bin", ["of a handler"] = "/file" } do
    it("sends files " .. what .. " though clients of HTTP/2 hold more of them than it has", function()
      with_few(SERVES_FILES, function(server)
        local clients = stuck(server.port, 3, 40, path)
        assert(left.descriptors(server.pid) <= MOST, left.descriptors(server.pid))
        assert.equal("small", support.get(server.port, "/s/small.txt").body)
        assert.equal(BIG, support.get(server.port, "/s/big.bin").body)
        assert.equal(BIG, support.get(server.port, "/file").body)
        for _, client in ipairs(clients) do -- and those who waited get theirs
          for stream = 1, 79, 2 do
            client:widen(0, #BIG)
            client:widen(stream, #BIG)
            local status, body = client:response(stream)
            assert.equal(200, status)
            assert.is_true(body == BIG)
            client.bodies[stream] = nil
          end
        end
        close_all(clients)
        assert.not_matches("descriptors", server:errors())
      end)
    end)
  end

  it("sends files though clients of HTTP/1.1 hold more of them than it has", function()
    with_few(SERVES_FILES .. [[
      app:get("/huge", function() return ml.web.file(FOLDER .. "/huge.bin") end)
    ]], function(server, folder)
      folders.write(folder .. "/huge.bin", BIG:rep(40))
      local conns = {}
      for i = 1, 30 do
        conns[i] = assert(rawtcp.connect(server.port))
        assert(conns[i]:send(request("GET", "/huge")))
        assert(conns[i]:receive("\r\n\r\n"))
      end
      assert.equal(BIG, support.get(server.port, "/s/big.bin").body)
      for _, conn in ipairs(conns) do
        local body = assert(conn:receive(40 * #BIG))
        assert.is_true(body == BIG:rep(40))
        conn:close()
      end
    end)
  end)

  it("cuts off a file that was replaced while its descriptor was somebody else's, and no other", function()
    with_few(SERVES_FILES, function(server, folder)
      local old = stuck(server.port, 1, 1, "/s/big.bin")[1]
      local others = stuck(server.port, 1, 60, "/file")
      folders.write(folder .. "/new.bin", BIG:upper())
      assert(os.rename(folder .. "/new.bin", folder .. "/big.bin"))
      local new = http2.connect(server.port, { window = 1 << 20 })
      new:widen(0, 1 << 20)
      assert.same({ 200, BIG:upper() }, { new:response(new:ask("GET", "/s/big.bin")) })
      old:widen(0, 1 << 20)
      old:widen(1, 1 << 20)
      assert.equal(http2.INTERNAL_ERROR, old:reset(1))
      assert.is_true(BIG:sub(1, #old.bodies[1]) == old.bodies[1])
      close_all { old, new, others[1] }
      assert.matches("the file was changed or replaced while it was being sent", server:errors(), 1, true)
    end)
  end)

  it("saves uploads, though more of them come at once than it has", function()
    with_few([[
      app:post("/{name}", function(req)
        for part in req:parts() do assert(part:save(FOLDER .. "/" .. req.params.name)) end
        return "saved"
      end)
    ]], function(server, folder)
      local head = "--b\r\nContent-Disposition: form-data; name=a; filename=a\r\n\r\n"
      local client = http2.connect(server.port, { window = 1 << 20 })
      local streams, kind = {}, { { "content-type", "multipart/form-data; boundary=b" } }
      for i = 1, 90 do
        streams[i] = client:ask("POST", "/" .. i, kind, true)
        client:send(http2.DATA, 0, streams[i], head .. ("one%d "):format(i):rep(1000))
      end
      local function parts()
        local n = 0
        for _, name in ipairs(assert(ml.fs.list(folder))) do n = n + (name:find "%.part$" and 1 or 0) end
        return n
      end
      eventually(function() return parts() == #streams end)
      assert(left.descriptors(server.pid) <= MOST, left.descriptors(server.pid))
      for i, stream in ipairs(streams) do
        client:send(http2.DATA, http2.END_STREAM, stream, ("two%d "):format(i) .. "\r\n--b--\r\n")
      end
      for i, stream in ipairs(streams) do
        assert.same({ 200, "saved" }, { client:response(stream) })
        assert.equal(("one%d "):format(i):rep(1000) .. ("two%d "):format(i), folders.read(folder .. "/" .. i))
      end
      assert.equal(0, parts())
      client:close()
    end)
  end)

  it("answers 503 where nothing helps, counts that and says so", function()
    with_few(SERVES_FILES .. [[
      local all = {}
      app:get("/take", function()
        repeat all[#all + 1] = io.open("/dev/null") until not io.open("/dev/null")
        return "taken"
      end)
      app:get("/give", function()
        for _, file in ipairs(all) do file:close() end
        return "given"
      end)
      app:metrics("/metrics", { hosts = { "here" } })
    ]], function(server)
      local conn <close> = assert(rawtcp.connect(server.port))
      local function get(path)
        assert(conn:send(request("GET", path)))
        return support.receive(conn)
      end
      assert.equal("taken", get("/take").body)
      for _, path in ipairs { "/s/big.bin", "/s/small.txt", "/file" } do
        local res = get(path)
        assert.same({ 503, "1" }, { res.status, res.headers["retry-after"] })
      end
      assert.equal("given", get("/give").body)
      assert.equal(BIG, get("/s/big.bin").body)
      assert.matches('moonloop_http_server_limited_total{limit_name="descriptors"} 3\n', get("/metrics").body, 1, true)
      assert.matches("no descriptors are left (ulimit -n): a file could not be opened for a client", server:errors(), 1,
        true)
    end)
  end)

  it("keeps some of them from its clients, for what it opens itself", function()
    with_few([[
      app:get("/", function()
        local files = {}
        for i = 1, 4 do files[i] = assert(io.open("/dev/null")) end
        for _, file in ipairs(files) do file:close() end
        return "opened"
      end)
    ]], function(server)
      local conns = {}
      for i = 1, 2 * MOST do
        conns[i] = assert(rawtcp.connect(server.port))
        assert(conns[i]:send(request("GET", "/")))
        assert.equal("opened", support.receive(conns[i]).body, server:errors())
      end
      assert(left.descriptors(server.pid) <= FOR_FILES, left.descriptors(server.pid))
      close_all(conns)
      assert.matches("no descriptors are left (ulimit -n): those whose clients have said nothing for longest",
        server:errors(), 1, true)
    end)
  end)
end)
