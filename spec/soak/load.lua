-- Asks a server of spec/soak/app.lua: moonloop spec/soak/load.lua PORT SECONDS [strict|lenient [SKIP]]
--
-- Many tasks send requests of every kind for so many seconds. A request may fail, but what is answered
-- with 200 has to be right. `strict`: none may fail. Prints the counts; the exit status is 1 when a
-- request has got a wrong answer, or has failed where none may. SKIP: a pattern of paths to leave out.
local ml = require "moonloop"

local port, seconds, strict, skip = arg[1], tonumber(arg[2]), arg[3] == "strict", arg[4]
local base = "http://127.0.0.1:" .. port
local TASKS = 32

local body = ("x"):rep(20000)
local form = '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nn\r\n' ..
  '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' .. body .. "\r\n--b--\r\n"
local app = assert(io.open((arg[0]:gsub("[^/]*$", "app.lua")))):read("a")
local items = {}
for i = 1, 100 do items[i] = i end

local requests = {
  { "get", "/plain", is = "plain" },
  { "get", "/json", is = '{"list":[1,2,3],"text":"text"}' },
  { "get", "/users/7?q=a%20b", is = '{"agent":true,"id":7,"q":"a b"}' },
  { "post", "/sum", { json = { items = items } }, is = '{"sum":5050}' },
  { "post", "/echo", { body = body }, is = body },
  { "get", "/sleep", is = "slept" },
  { "get", "/children", is = '{"sum":3}' },
  { "get", "/large", is = ("0123456789abcdef"):rep(40000) },
  { "get", "/offload", is = '{"sum":500500}' },
  { "get", "/deadline", is = "in time" },
  { "get", "/stream", is = ("streamed "):rep(200000) },
  { "get", "/events", pings = true, is = "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n" },
  { "post", "/chunks", { body = body }, is = '{"bytes":20000}' },
  { "post", "/form", { body = form, headers = { ["Content-Type"] = "multipart/form-data; boundary=b" } },
    is = '{"bytes":20000,"name":"n"}' },
  { "get", "/static/app.lua", is = app },
  { "get", "/files", is = ("text "):rep(20000) },
  { "get", "/inner/text", is = "inner" },
  { "get", "/inner/raise", status = 418, is = '{"raised":true}' },
  { "get", "/abort", status = 418, is = '{"detail":{"why":"tea"}}' },
  { "get", "/ask/" .. port, is = "slept" },
  { "get", "/nothing", status = 404, is = '{"detail":"Not Found"}' },
}

if skip then
  for i = #requests, 1, -1 do
    if requests[i][2]:find(skip) then table.remove(requests, i) end
  end
end

local counts = { right = 0, failed = 0, refused = 0, wrong = 0 }
local shown = {}

local function note(kind, request, what)
  counts[kind] = counts[kind] + 1
  if kind == "right" or (kind ~= "wrong" and not strict) then return end
  local line = ("%s: %s: %s"):format(kind, request[2], tostring(what):sub(1, 200))
  if not shown[line] then
    shown[line] = true
    print(line)
  end
end

--- The same text, whatever the order of an object's members.
local function same(a, b)
  if a == b then return true end
  local x, y = ml.json.decode(a), ml.json.decode(b)
  return x ~= nil and y ~= nil and ml.json.encode(x, { pretty = true }) == ml.json.encode(y, { pretty = true })
end

local function ask(client, request)
  local res, err = client[request[1]](client, request[2], request[3])
  if not res then return note("failed", request, err) end
  if res.status ~= (request.status or 200) then
    return note(res.status >= 500 and "refused" or "wrong", request, res.status .. " " .. res.body)
  end
  local text = request.pings and res.body:gsub(":\n\n", "") or res.body -- a busy server is late
  note(same(text, request.is) and "right" or "wrong", request, text)
end

local stop = ml.now() + seconds
local client = ml.http.client { base_url = base, timeout = 10, max_connections = TASKS }
local tasks = {}
for i = 1, TASKS do
  tasks[i] = function()
    local turn = i
    repeat
      local request = requests[turn % #requests + 1]
      local ok, err = pcall(ask, client, request) -- this process may lack memory, too
      if not ok then pcall(note, "failed", request, err) end
      turn = turn + 1
    until ml.now() >= stop
  end
end
ml.gather(tasks)
print(("%d right, %d refused, %d failed, %d wrong"):format(counts.right, counts.refused, counts.failed, counts.wrong))
os.exit(counts.wrong == 0 and (not strict or counts.refused + counts.failed == 0))
