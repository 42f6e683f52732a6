-- The client over HTTP/2 against Node's server, which is not nghttp2's alone: its own flow control, resets, trailers,
-- sessions that end.
local folders = require "spec.support.folder"
local ml = require "moonloop"

local SERVER = [[
const http2 = require('http2')
const open = new Set()
let sessions = 0
const limits = { maxConcurrentStreams: 40, initialWindowSize: 20000 }
const server = http2.createServer({ maxSessionMemory: 1000, settings: limits })
server.on('session', (session) => {
  sessions++
  open.add(session)
  session.on('close', () => open.delete(session))
  session.on('error', () => {})
})
server.on('stream', (stream, headers) => {
  stream.on('error', () => {})
  const path = headers[':path']
  const ok = { ':status': 200, 'x-session': String(stream.session.socket.remotePort) }
  if (path === '/headers') {
    stream.respond(ok)
    stream.end(JSON.stringify(headers))
  } else if (path === '/echo') {
    stream.respond(ok)
    stream.pipe(stream)
  } else if (path === '/slow') {
    let size = 0
    stream.on('data', (chunk) => {
      size += chunk.length
      stream.pause()
      setTimeout(() => stream.resume(), 1)
    })
    stream.on('end', () => { stream.respond(ok); stream.end(String(size)) })
  } else if (path === '/big') {
    stream.respond(ok)
    stream.end(Buffer.alloc(10e6, 'x'))
  } else if (path === '/some') {
    stream.respond(ok)
    stream.end(Buffer.alloc(1e6, 'x'))
  } else if (path === '/trailers') {
    stream.additionalHeaders({ ':status': 103, link: '</a>' })
    stream.respond(ok, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }))
    stream.end('with trailers')
  } else if (path === '/reset') {
    stream.respond(ok)
    stream.write('half')
    setImmediate(() => stream.destroy(new Error('on purpose')))
  } else if (path === '/calm') {
    stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
  } else if (path === '/goaway') {
    stream.respond(ok)
    stream.session.close()
    stream.end('the last one')
  } else if (path === '/destroy') {
    stream.session.destroy()
  } else if (path === '/sessions') {
    stream.respond(ok)
    stream.end(String(sessions) + ' ' + String(open.size))
  } else if (path === '/early') {
    stream.respond(ok)
    stream.end('enough')
  } else {
    stream.respond(ok)
    setTimeout(() => stream.end(path), 2)
  }
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
]]

describe("the client over HTTP/2, with Node,", { timeout = 300 }, function()
  if not os.execute "command -v node >/dev/null 2>&1" then
    it("needs it", function() pending "Node.js is not installed" end)
    return
  end

  local folder, node, url, client

  setup(function()
    folder = folders.new { ["server.js"] = SERVER }
    node = assert(ml.process.spawn { "node", folder.path .. "/server.js" })
    url = "http://127.0.0.1:" .. assert(node.stdout:read "l")
  end)

  teardown(function()
    node:kill "KILL"
    node:wait()
    folder:close()
  end)

  before_each(function() client = ml.http.client { http2 = "clear", timeout = 120 } end)

  after_each(function() client:close() end)

  local function get(path, opts) return client:get(url .. path, opts) end

  it("sends fields in the form of HTTP/2, without those of a connection", function()
    local seen = assert(client:post(url .. "/headers", { body = "x", auth = { "u", "p" }, headers = {
      ["X-Name"] = "Value", ["TE"] = "gzip", ["Connection"] = "x-name, keep-alive", ["Keep-Alive"] = "1",
      ["Upgrade"] = "h2c", ["Cookie"] = "a=b; c=d", ["X-Empty"] = "" } })):json()
    assert.same({ "POST", "http", url:match "//(.*)", "/headers" },
      { seen[":method"], seen[":scheme"], seen[":authority"], seen[":path"] })
    assert.same({ "Value", "a=b; c=d", "", "1", "Basic dTpw", "*/*", "gzip, br" }, { seen["x-name"], seen.cookie,
      seen["x-empty"], seen["content-length"], seen.authorization, seen.accept, seen["accept-encoding"] })
    for _, name in ipairs { "te", "connection", "keep-alive", "upgrade", "host", "transfer-encoding" } do
      assert.is_nil(seen[name], name)
    end
    seen = assert(get("/headers", { headers = { Host = "else.example", TE = "trailers" } })):json()
    assert.same({ "else.example", "trailers" }, { seen[":authority"], seen.te })
    assert.is_nil(seen["content-length"])
  end)

  it("carries bodies of any size both ways, many at once", function()
    local text, calls = ("0123456789abcdef"):rep(20000), {}
    for i = 1, 30 do
      calls[i] = function()
        local at = 0
        local res = assert(client:post(url .. "/echo", { body = i % 3 > 0 and text or function()
          at = at + 1
          return at <= 10 and text:sub((at - 1) * 32000 + 1, at * 32000) or nil
        end }))
        assert.is_true(res.body == text)
      end
    end
    ml.gather(calls)
    assert.equal(10e6, #assert(get "/big").body)
    local size = 0
    for chunk in assert(get("/big", { stream = true })):chunks() do size = size + #chunk end
    assert.equal(10e6, size)
    assert.equal(tostring(#text), assert(client:put(url .. "/slow", { body = text })).body)
  end)

  it("keeps within the streams that the server allows", function()
    local calls = {}
    assert(get "/first")
    for i = 1, 500 do calls[i] = function() return assert(get("/" .. i)).body end end
    for i, body in ipairs(ml.gather(calls)) do assert.equal("/" .. i, body) end
  end)

  it("reads past interim responses and trailers", function()
    local res = assert(get "/trailers")
    assert.same({ 200, "with trailers" }, { res.status, res.body })
    assert.is_nil(res.headers["x-sum"])
  end)

  it("tells of resets, and goes on on the same connection", function()
    local before = assert(get "/first").headers["x-session"]
    local res, err = get "/reset"
    assert.is_nil(res)
    assert.equal("network HTTP2_STREAM", err.kind .. " " .. err.code)
    assert.matches("INTERNAL_ERROR", err.message, 1, true)
    res, err = get "/calm"
    assert.is_nil(res)
    assert.matches("ENHANCE_YOUR_CALM", err.message, 1, true)
    assert.equal(before, assert(get "/second").headers["x-session"])
  end)

  it("takes an early answer to an upload", function()
    local res = assert(client:post(url .. "/early", { body = ("x"):rep(1000000) }))
    assert.equal("enough", res.body)
    assert.equal("/next", assert(get "/next").body)
  end)

  it("opens another connection after one that the server ends, in order or not", function()
    local first = assert(get "/goaway")
    assert.equal("the last one", first.body)
    local second = assert(get "/second")
    assert.are_not.equal(first.headers["x-session"], second.headers["x-session"])
    local res, err = client:post(url .. "/destroy")
    assert.is_nil(res)
    assert.equal("network", err.kind)
    local third = assert(get "/third")
    assert.are_not.equal(second.headers["x-session"], third.headers["x-session"])
  end)

  it("leaves nothing behind when its tasks are cancelled at random", function()
    math.randomseed(7)
    for _ = 1, 15 do
      local tasks = {}
      for i = 1, 40 do
        tasks[i] = ml.spawn(function()
          if i % 4 == 0 then return client:post(url .. "/echo", { body = ("x"):rep(50000) }) end
          if i % 4 == 1 then
            local res <close> = assert(get("/some", { stream = true })) -- of much more, Node refuses streams
            return res:read()
          end
          return get("/" .. i)
        end)
      end
      for _ = 1, math.random(0, 3) do ml.sleep(0.001) end
      for i = 1, 40 do if math.random(2) == 1 then tasks[i]:cancel() end end
      ml.wait(tasks)
    end
    assert.equal("/after", assert(get "/after").body)
    client:close()
  end)
end)
