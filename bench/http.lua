-- What a request costs: build/release/moonloop bench/http.lua [ROUNDS [SECONDS]]
--
-- Prints CPU microseconds (user and system) of the server per request: the median of interleaved
-- rounds, lowest and highest, and the ratio to the first server, bench/limit.c: raw epoll with a
-- fixed reply. The server is pinned to one core and wrk to another. Three more limit servers in C, which
-- are no part of the project, run too where their sources are, L1.c, L23.c and L3_app.lua in
-- $MOONLOOP_SHARED/lab/c (else ../shared/lab/c): L1 raw epoll, L2 libuv and llhttp with a fixed reply,
-- L3 = L2 and one recycled coroutine a request.
local ml = require "moonloop"

local rounds = math.tointeger(tonumber(arg[1] or 5))
local round_seconds = math.tointeger(tonumber(arg[2] or 2))
assert(rounds and rounds > 0 and round_seconds and round_seconds > 0, "ROUNDS and SECONDS are whole numbers")

local exe = assert(io.popen("readlink /proc/$PPID/exe")):read("l")
local root = arg[0]:match("^(.*)bench/[^/]*$") or "./"
local limits = (os.getenv "MOONLOOP_SHARED" or root .. "../shared") .. "/lab/c"

local function output_of(command)
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  return output, pipe:close()
end

assert(os.execute "command -v wrk >/dev/null", "wrk is missing (apt install wrk)")

local servers = {} -- in the order of the table: {name, port, command, pid, pipe}

local function add(name, command) servers[#servers + 1] = { name = name, port = 8100 + #servers, command = command } end

assert(os.execute(("cd '%s.' && mkdir -p build && cc -O2 -w -o build/limit bench/limit.c"):format(root)),
  "bench/limit.c cannot be built")
add("limit", root .. "build/limit")
if os.execute(("test -e '%s/L1.c'"):format(limits)) then
  local build = ([[set -e; mkdir -p build/limits; c='%s'
    llhttp=.deps/llhttp/usr/share; flags="-O2 -msse4.2 -w"
    if [ -e $llhttp/llhttp/llhttp.c ]; then
      llhttp="-I$llhttp/include/llhttp $llhttp/llhttp/api.c $llhttp/llhttp/http.c $llhttp/llhttp/llhttp.c"
    else llhttp=-lllhttp; fi
    cc $flags -o build/limits/L1 $c/L1.c
    cc $flags -o build/limits/L2 $c/L23.c $llhttp -luv
    cc $flags -DWITH_LUA -o build/limits/L3 $c/L23.c $llhttp $(pkg-config --cflags --libs lua5.4) -luv]]):format(limits)
  assert(os.execute(("cd '%s.' && { %s\n}"):format(root, build)), "the limit servers cannot be built")
  add("L1", root .. "build/limits/L1")
  add("L2", root .. "build/limits/L2")
  add("L3", ("%sbuild/limits/L3 '%s/L3_app.lua'"):format(root, limits))
else
  print("without L1, L2 and L3: there are no sources in " .. limits)
end
add("moonloop", ("'%s' serve '%sscripts/examples/app.lua' --port $PORT"):format(exe, root))

local function start(server)
  server.pipe = assert(io.popen(("echo $$; PORT=%d; export PORT; exec taskset -c 0 %s"):format(server.port,
    server.command)))
  server.pid = server.pipe:read("l")
  for _ = 1, 100 do
    if ml.http.get(("http://127.0.0.1:%d/plaintext"):format(server.port)) then return end
    ml.sleep(0.05)
  end
  error(server.name .. " does not answer")
end

local ticks = tonumber((output_of "getconf CLK_TCK"))

--- CPU seconds that a process has used.
local function cpu_of(pid)
  local file <close> = assert(io.open("/proc/" .. pid .. "/stat"))
  local user, system = file:read("a"):match("^.*%) %S" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  return (user + system) / ticks
end

--- CPU microseconds a request, over one run of wrk.
local function measure(server, workload)
  local before = cpu_of(server.pid)
  local text = output_of(("taskset -c 1 wrk -t1 -c64 -d%ds %s http://127.0.0.1:%d%s"):format(round_seconds,
    workload.script and "-s " .. root .. workload.script or "", server.port, workload.path))
  local cpu = cpu_of(server.pid) - before
  assert(not text:find("Non-2xx", 1, true), server.name .. ":\n" .. text)
  return cpu / assert(tonumber(text:match("(%d+) requests in")), text) * 1e6
end

local workloads = {
  { name = "/plaintext", path = "/plaintext" },
  { name = "/json", path = "/json" },
  { name = "/plaintext, 16 pipelined", path = "/plaintext", script = "bench/pipelined.lua" },
}

for _, server in ipairs(servers) do start(server) end
for _, workload in ipairs(workloads) do
  local found = {}
  for _ = 1, rounds do
    for _, server in ipairs(servers) do
      found[server] = found[server] or {}
      table.insert(found[server], measure(server, workload))
    end
  end
  print(("%-26s %10s %18s %8s"):format(workload.name, "us/request", "(lowest, highest)", "ratio"))
  local base
  for _, server in ipairs(servers) do
    local values = found[server]
    table.sort(values)
    local median = values[(#values + 1) // 2]
    base = base or median
    print(("  %-24s %10.3f %18s %8.2f"):format(server.name, median,
      ("(%.3f, %.3f)"):format(values[1], values[#values]), median / base))
  end
end
for _, server in ipairs(servers) do
  os.execute("kill -TERM " .. server.pid)
  server.pipe:close()
end
