-- Forms that come while the handler runs, and files that are saved from them.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support.web"

local rawtcp = common.rawtcp

local function head(length)
  return support.request("POST", "/", "Content-Type: multipart/form-data; boundary=B\r\n" ..
    (length and "Content-Length: " .. length or "Transfer-Encoding: chunked") .. "\r\n")
end

local function chunk(text) return ("%x\r\n%s\r\n"):format(#text, text) end

local FILE = '--B\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
local END = "\r\n--B--\r\n"

-- Serves POST / by `handler` while f(conn) runs with a connection to it.
local function serving(handler, f, opts)
  local app = web.app()
  app:post("/", opts or {}, handler)
  support.serving(app, function(port)
    local conn <close> = assert(rawtcp.connect(port))
    f(conn)
  end)
end

-- Runs f(folder, names) with an empty folder; names() is what it has.
local function in_folder(f)
  local folder <close> = folders.new {}
  f(folder.path, function() return (process.sh("ls -A " .. folder.path)) end)
end

describe("req:parts of a body that comes in pieces", function()
  it("gives a part before its content has arrived, and the content as it arrives", function()
    local seen = ml.queue()
    serving(function(req)
      for part in req:parts() do
        seen:put("part " .. part.name)
        for piece in part:chunks() do seen:put("piece " .. piece) end
      end
      seen:put("over")
      return "done"
    end, function(conn)
      conn:send(head() .. chunk(FILE))
      assert.equal("part f", seen:get())
      conn:send(chunk("one"))
      assert.equal("piece one", seen:get())
      conn:send(chunk("two\r\n-"))
      assert.equal("piece two", seen:get()) -- what may be the boundary waits
      conn:send(chunk("-A"))
      assert.equal("piece \r\n--", seen:get())
      assert.equal("piece A", seen:get())
      conn:send(chunk(END) .. "0\r\n\r\n")
      assert.equal("over", seen:get())
      assert.equal("done", support.receive(conn).body)
    end)
  end)
  it("reads a form far larger than what is kept of it", function()
    local size, piece = 32 * 1024 * 1024, ("0123456789abcdef"):rep(8192)
    serving(function(req)
      local n = 0
      for part in req:parts() do
        for text in part:chunks() do n = n + #text end
      end
      return tostring(n)
    end, function(conn)
      conn:send(head(#FILE + size + #END) .. FILE)
      for _ = 1, size // #piece do assert(conn:send(piece)) end
      conn:send(END)
      assert.equal(tostring(size), support.receive(conn).body)
    end, { max_body = 64 * 1024 * 1024 })
  end)
  it("raises the error of a body that exceeds max_body", function()
    serving(function(req)
      for part in req:parts() do part:read() end
    end, function(conn)
      conn:send(head() .. chunk(FILE) .. chunk(("x"):rep(2000)))
      assert.equal(413, support.receive(conn).status)
    end, { max_body = 1000 })
  end)
  it("is cancelled when the client goes away", function()
    local started, over = ml.event(), ml.event()
    serving(function(req)
      local _ <close> = setmetatable({}, { __close = function() over:set() end })
      for part in req:parts() do
        started:set()
        part:read()
      end
    end, function(conn)
      conn:send(head(100000) .. FILE)
      started:wait()
      conn:close()
      over:wait()
    end)
  end)
end)

it("req:form waits for a body that comes in pieces", function()
  local started = ml.event()
  serving(function(req)
    started:set()
    return { size = #assert(req:form()).f.body }
  end, function(conn)
    conn:send(head(#FILE + 5 + #END))
    started:wait()
    conn:send(FILE .. "12")
    conn:send("345" .. END)
    assert.equal('{"size":5}', support.receive(conn).body)
  end)
end)

describe("part:save", function()
  local function saver(path, opts)
    return function(req)
      local part = req:parts()()
      local size, err = part:save(path, opts)
      return { size = size, kind = err and err.kind, code = err and err.code }
    end
  end

  it("writes the file, which gets its name when it is complete", function()
    in_folder(function(folder, names)
      local content = ("0123456789\r\n--B"):rep(20000) .. "\r\n--C"
      content = content:gsub("\r\n%-%-B", "\r\n--A")
      serving(saver(folder .. "/f"), function(conn)
        conn:send(head(#FILE + #content + #END) .. FILE .. content:sub(1, 100000))
        while names() == "" do ml.sleep(0) end
        assert.matches("^f%.%x+%.part\n$", names())
        conn:send(content:sub(100001) .. END)
        assert.equal(('{"size":%d}'):format(#content), support.receive(conn).body)
        assert.equal("f\n", names())
        assert.equal(content, folders.read(folder .. "/f"))
      end)
    end)
  end)
  it("replaces an existing file only if it is told to, also one that comes meanwhile", function()
    in_folder(function(folder, names)
      local exists = '{"kind":"file","code":"EEXIST"}'
      local function ask(conn) conn:send(head(#FILE + 3 + #END) .. FILE .. "new" .. END) end
      serving(saver(folder .. "/f"), function(conn)
        conn:send(head(#FILE + 3 + #END) .. FILE .. "n")
        while names() == "" do ml.sleep(0) end
        io.open(folder .. "/f", "w"):write("old"):close()
        conn:send("ew" .. END)
        assert.same(ml.json.decode(exists), ml.json.decode(support.receive(conn).body))
        ask(conn)
        assert.same(ml.json.decode(exists), ml.json.decode(support.receive(conn).body))
      end)
      assert.equal("old", folders.read(folder .. "/f"))
      serving(saver(folder .. "/f", { replace = true }), function(conn)
        ask(conn)
        assert.equal('{"size":3}', support.receive(conn).body)
      end)
      assert.equal("new", folders.read(folder .. "/f"))
      assert.equal("f\n", names())
    end)
  end)
  it("follows no link to a file elsewhere", function()
    in_folder(function(folder)
      io.open(folder .. "/other", "w"):write("old"):close()
      assert(ml.fs.symlink(folder .. "/other", folder .. "/f"))
      for _, opts in ipairs { {}, { replace = true } } do
        serving(saver(folder .. "/f", opts), function(conn)
          conn:send(head(#FILE + 3 + #END) .. FILE .. "new" .. END)
          support.receive(conn)
        end)
        assert.equal("old", folders.read(folder .. "/other"))
      end
    end)
  end)
  it("makes a file that nobody else can read", function()
    in_folder(function(folder)
      serving(saver(folder .. "/f"), function(conn)
        conn:send(head(#FILE + 3 + #END) .. FILE .. "new" .. END)
        assert.equal('{"size":3}', support.receive(conn).body)
      end)
      assert.equal("600", ("%o"):format(assert(ml.fs.stat(folder .. "/f")).mode))
    end)
  end)
  it("leaves nothing behind when the form breaks off or the client goes away", function()
    in_folder(function(folder, names)
      serving(saver(folder .. "/f"), function(conn)
        conn:send(head(#FILE + 3) .. FILE .. "123")
        assert.equal(400, support.receive(conn).status)
        assert.equal("", names())
        conn:send(head(100000) .. FILE .. "123")
        while names() == "" do ml.sleep(0) end
        conn:close()
        while names() ~= "" do ml.sleep(0) end
      end)
    end)
  end)
  it("is nil and an error when the file cannot be written", function()
    serving(saver("/nowhere/at/all"), function(conn)
      conn:send(head(#FILE + 3 + #END) .. FILE .. "123" .. END)
      assert.same({ kind = "file", code = "ENOENT" }, ml.json.decode(support.receive(conn).body))
    end)
  end)
end)

it("cookies are set on the responses of a middleware's next", function()
  local app = web.app()
  app:use(function(req, next) return next(req):set_cookie("seen", "1") end)
  app:get("/", function() return { ok = true } end)
  support.serving(app, function(port)
    assert.equal("seen=1; Path=/; HttpOnly; SameSite=Lax", support.get(port, "/").headers["set-cookie"])
    assert.equal("seen=1; Path=/; HttpOnly; SameSite=Lax", support.get(port, "/none").headers["set-cookie"])
  end)
end)
