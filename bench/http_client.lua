-- What a GET on a kept-alive connection costs: build/release/moonloop bench/http_client.lua [ROUNDS]
--
-- Prints CPU microseconds of this process (user and system) per request, the median of interleaved
-- rounds: one request after the other, and gathered, over HTTP/1.1 and HTTP/2. The upstream is this file
-- again, in a process of its own, so that its time is not counted; for HTTP/2 it is nghttpd (Debian's
-- nghttp2-server), if it is there.
local ml = require "moonloop"

if arg[1] == "upstream" then
  local app = ml.web.app()
  app:get("/hello", function() return "Hello, World!" end)
  app:get("/stop", function() os.exit(0) end)
  local server = assert(ml.web.listen(app, { host = "127.0.0.1", port = 0 }))
  print(server.port)
  io.stdout:flush()
  while true do ml.sleep(3600) end
end

local rounds = math.tointeger(tonumber(arg[1] or 5))
assert(rounds and rounds > 0, "the argument is a number of rounds")

local exe = assert(io.popen("readlink /proc/$PPID/exe")):read("l")
local upstream = assert(io.popen(("'%s' '%s' upstream"):format(exe, arg[0])))
local host = "http://127.0.0.1:" .. assert(upstream:read("n"))
local url = host .. "/hello"

--- Starts nghttpd on a port that was free, with a file for /hello. Returns it and its port.
local function start_nghttpd()
  if not os.execute "command -v nghttpd >/dev/null" then return nil end
  local folder = assert(ml.fs.temp_dir())
  assert(ml.fs.write(folder.path .. "/hello", "Hello, World!"))
  local free = assert(ml.net.listen("127.0.0.1", 0))
  local _, port = free:address()
  free:stop()
  local nghttpd = assert(ml.process.spawn { "nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", folder.path,
    tostring(port), stdout = "null", stderr = "null" })
  repeat
    ml.sleep(0.01)
    local conn = ml.net.connect("127.0.0.1", port)
    if conn then conn:close() end
  until conn
  return nghttpd, port, folder
end

local nghttpd, http2_port, folder = start_nghttpd()
local urls = { ["HTTP/1.1"] = url, ["HTTP/2"] = nghttpd and ("http://127.0.0.1:%d/hello"):format(http2_port) or nil }
local measures = {}
for _, engine in ipairs { "HTTP/1.1", "HTTP/2" } do
  local client = ml.http.client { http2 = engine == "HTTP/2" and "clear" }
  local function get() return assert(client:get(urls[engine])) end
  if not urls[engine] then break end
  measures[#measures + 1] = {
    name = engine .. ", one after the other",
    n = 5000,
    run = function(n) for _ = 1, n do get() end end,
  }
  for _, width in ipairs { 3, 10, 100 } do
    measures[#measures + 1] = {
      name = engine .. ", " .. width .. " gathered",
      n = 5000,
      run = function(n)
        local items = {}
        for i = 1, width do items[i] = get end
        for _ = 1, n // width do ml.gather(items) end
      end,
    }
  end
end

for _, measure in ipairs(measures) do
  measure.cpu, measure.wall = {}, {}
  measure.run(200) -- opens the connections
end
for _ = 1, rounds do
  for _, measure in ipairs(measures) do
    local cpu, wall = os.clock(), ml.now()
    measure.run(measure.n)
    table.insert(measure.cpu, (os.clock() - cpu) / measure.n * 1e6)
    table.insert(measure.wall, (ml.now() - wall) / measure.n * 1e6)
  end
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

print(("%-28s %14s %14s"):format("GET, kept alive", "CPU us/request", "wall us/request"))
for _, measure in ipairs(measures) do
  print(("%-28s %14.1f %14.1f"):format(measure.name, median(measure.cpu), median(measure.wall)))
end
ml.http.get(host .. "/stop")
upstream:close()
if nghttpd then
  nghttpd:kill()
  nghttpd:wait()
  folder:close()
end
