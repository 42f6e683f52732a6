-- What a GET on a kept-alive connection costs: build/release/moonloop bench/http_client.lua [ROUNDS]
--
-- Prints CPU microseconds of this process (user and system) per request, the median of interleaved
-- rounds: one request after the other, and gathered, by our own engine and by libcurl's. The upstream
-- is this file again, in a process of its own, so that its time is not counted.
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

local measures = {}
for _, engine in ipairs { "own", "libcurl" } do
  -- A client with cookies is libcurl's.
  local client = ml.http.client { cookies = engine == "libcurl" }
  local function get() return assert(client:get(url)) end
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
