-- HTTP/2 of servers, by clients that others have written: curl, and that of Node.
local folders = require "spec.support.folder"
local json = require "moonloop.json"
local ml = require "moonloop"
local served = require "spec.support.served"
local serving = require("spec.support.web").serving
local tls = require "spec.support.tls"

local LIMIT = 120 -- seconds that a program may take
local BIG = ("0123456789"):rep(300000)

local function app()
  local made = ml.web.app { max_body = 64 << 20 }
  made:get("/", function(req) return req.scheme end)
  made:get("/big", function() return BIG end)
  made:post("/echo", function(req) return req.body end)
  made:get("/stream", function()
    return ml.web.response { stream = function(out)
      for i = 1, 100 do out:write(("line %d\n"):format(i)) end
    end }
  end)
  made:get("/number/{n}", function(req) return req.params.n end)
  return made
end

local function run(program)
  program.timeout = LIMIT
  local result = assert(ml.process.run(program))
  assert(result.ok, result.stderr)
  return result.stdout
end

describe("HTTP/2 with curl", function()
  local version = io.popen "curl --version 2>/dev/null":read "a"
  if not version:find "HTTP2" then
    it("needs it", function() pending "there is no curl that speaks HTTP/2" end)
    return
  end

  -- What it prints: what it got, then the version and the status of each response.
  local function curl(...)
    return run { "curl", "-s", "-S", "-w", " %{http_version} %{http_code}\n", "--noproxy", "*", ... }
  end

  it("gets, posts, streams, and asks for heads alone, in clear", function()
    serving(app(), function(port)
      local url = "http://127.0.0.1:" .. port
      local function ask(target, ...) return curl("--http2-prior-knowledge", url .. target, ...) end
      assert.equal("http 2 200\n", ask "/")
      assert.equal(BIG .. " 2 200\n", ask "/big")
      assert.matches("^line 1\n.*line 100\n 2 200\n$", ask "/stream")
      assert.matches(" 2 404\n$", ask "/nowhere")
      assert.matches("^HTTP/2 200 \r\n.*content%-length: 3000000\r\n\r\n 2 200\n$", ask("/big", "-I"))
      local folder <close> = folders.new { ["body"] = BIG }
      assert.equal(BIG .. " 2 200\n", ask("/echo", "--data-binary", "@" .. folder.path .. "/body"))
      assert.equal("http 1.1 200\n", curl("--http2", url)) -- which asks for an upgrade: we have none
    end, { http2 = "clear" })
  end)

  it("agrees on it with TLS, and asks for many at once on a connection", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local made <close> = tls.certificates { one = {} }
    local own = { cert = made.one.cert, key = made.one.key }
    serving(app(), function(port)
      local url = "https://localhost:" .. port
      assert.equal("https 2 200\n", curl("--http2", "--cacert", made.ca, url))
      assert.equal(BIG .. " 2 200\n", curl("--http2", "--cacert", made.ca, url .. "/big"))
      assert.equal("https 1.1 200\n", curl("--http1.1", "--cacert", made.ca, url))
      -- In clear, curl fails at this with any server.
      local folder <close> = folders.new {}
      local output = curl("--http2", "--cacert", made.ca, "--parallel", "--parallel-max", "50",
        "-o", folder.path .. "/#1", url .. "/number/[1-150]")
      assert.equal(150, select(2, output:gsub(" 2 200\n", "")))
      for i = 1, 150 do
        local file <close> = assert(io.open(folder.path .. "/" .. i))
        assert.equal(tostring(i), file:read "a")
      end
    end, { tls = own })
  end)

  it("is sent to https", function()
    local server <close> = served.start_at("--listen 127.0.0.1:0 --redirect-https 0 --http2 clear",
      { ["app.lua"] = "return require 'moonloop'.web.app()" })
    local port = server.line:match "and http://127.0.0.1:(%d+)"
    local output = curl("--http2-prior-knowledge", "-H", "Host: example.com:80", "-o", "/dev/null", "-w",
      "%{http_version} %{http_code} %{redirect_url}", ("http://127.0.0.1:%s/a?b=c"):format(port))
    assert.equal("2 308 https://example.com/a?b=c", output)
  end)
end)

local CLIENT = [[
const http2 = require('http2')
const session = http2.connect('http://127.0.0.1:' + process.argv[2])
const ask = (headers, body) => new Promise((done, failed) => {
  const stream = session.request(headers)
  const parts = []
  let status
  stream.on('response', (got) => { status = got[':status'] })
  stream.on('data', (part) => {
    parts.push(part)
    stream.pause() // so that the window fills
    setImmediate(() => stream.resume())
  })
  stream.on('end', () => done({ status, text: Buffer.concat(parts).toString() }))
  stream.on('error', failed)
  stream.end(body)
})
const cancelled = () => new Promise((done) => {
  const stream = session.request({ ':path': '/big' })
  stream.on('error', () => {})
  stream.on('close', done)
  stream.once('data', () => stream.close(http2.constants.NGHTTP2_CANCEL))
})
const main = async () => {
  const result = {}
  const number = async (n) => (await ask({ ':path': '/number/' + n })).text
  result.numbers = await Promise.all([...Array(300).keys()].map(number))
  const big = await ask({ ':path': '/big' })
  result.big = [big.status, big.text.length]
  const body = 'x'.repeat(2000000)
  result.same = (await ask({ ':path': '/echo', ':method': 'POST' }, body)).text === body
  for (let i = 0; i < 10; i++) await cancelled()
  result.stream = (await ask({ ':path': '/stream' })).text.split('\n').length
  result.nowhere = (await ask({ ':path': '/nowhere' })).status
  await new Promise((done) => session.close(done))
  console.log(JSON.stringify(result))
}
main().catch((error) => { console.error(error); process.exit(1) })
]]

describe("HTTP/2 with Node", function()
  if not os.execute "command -v node >/dev/null 2>&1" then
    it("needs it", function() pending "Node.js is not installed" end)
    return
  end

  it("asks for more than the limit of streams, sends, cancels, reads slowly", function()
    local folder <close> = folders.new { ["client.js"] = CLIENT }
    serving(app(), function(port)
      local result = json.decode(run { "node", folder.path .. "/client.js", tostring(port) })
      for i, number in ipairs(result.numbers) do assert.equal(tostring(i - 1), number) end
      assert.equal(300, #result.numbers)
      assert.same({ 200, #BIG }, result.big)
      assert.is_true(result.same)
      assert.equal(101, result.stream)
      assert.equal(404, result.nowhere)
    end, { http2 = "clear" })
  end)
end)
