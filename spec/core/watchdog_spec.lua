-- Who blocks the loop: the reports of the watchdog. What is printed is seen from another process.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local sanitized = require("spec.support").sanitized

local function run(code, options) return process.run(code, options or "--block-limit 100") end

-- Computes for so many seconds of CPU time, which do not pass while the machine stands still.
local compute = [[
local function compute(seconds)
  local limit = os.clock() + seconds
  while os.clock() < limit do
    for i = 1, 100 do local _ = i * i end
  end
end
]]

local function count(text, pattern) return select(2, text:gsub(pattern, "")) end

describe("the watchdog", function()
  it("says during the block which task, for how long, and where it is", function()
    local output = run(compute .. [[
ml.spawn(function()
  compute(0.6)
  io.stderr:write("after\n")
end):await()]])
    assert.matches("moonloop: task %d+, spawned at SCRIPT:8 has held up the loop for [%d.]+ m?s", output)
    assert.matches("SCRIPT:[3456]: in upvalue 'compute'", output)
    assert.matches("SCRIPT:9: in function", output)
    assert.is_true(output:find("has held up", 1, true) < output:find("after", 1, true))
  end)

  it("says it again with growing gaps, and once more when it ends", function()
    local output = run(compute .. "compute(2)", "--block-limit 50")
    local reports = count(output, "has held up the loop for")
    assert.is_true(reports >= 2 and reports <= 14, output) -- after 50, 100, 200, 400, 800, 1600 ms, ...
    assert.equal(1, count(output, "task 1 'main' has let go of the loop after %d+%.%d s"))
  end)

  it("says nothing while nothing blocks", function()
    -- Longer than the limit, which is as long as a busy machine may let a task stand.
    assert.equal("", (run([[
for i = 1, 30 do ml.sleep(0.01) end
ml.gather({ ml.sleep, 2.5 }, { ml.executor.run, function()
  local t = os.clock() + 2.5
  while os.clock() < t do end
end })]], "--block-limit 2000")))
  end)

  it("is off with a limit of 0", function()
    assert.equal("", (run(compute .. "compute(0.4)", "--block-limit 0")))
  end)

  it("names a C function that does not return, and the line that called it", function()
    local output = run [[
local function wait()
  os.execute("sleep 3")
end
wait()
io.stderr:write("after\n")]]
    assert.matches("task 1 'main' has held up the loop for [%d.]+ m?s, in %a+ 'execute', called at SCRIPT:3", output)
    assert.matches("SCRIPT:5: in main chunk", output)
    assert.is_true(output:find("has held up", 1, true) < output:find("after", 1, true))
    assert.matches("has let go of the loop after [1-9]", output)
  end)

  -- Opens a named pipe whose other end is opened later.
  local FIFO = 'local _ = io.popen("sleep 1; echo >" .. fifo); io.open(fifo)'

  it("says what to use in place of a function that blocks", function()
    for call, hint in pairs {
      ['os.execute "sleep 1"'] = "os.execute blocks the whole loop; ml.process.run would let other tasks run meanwhile",
      ['io.popen("sleep 1"):read()'] = "file:read blocks the whole loop; ml.fs.open, or ml.process.spawn for a program",
      ['for _ in io.popen("sleep 1"):lines() do end'] = "file:lines blocks the whole loop; ml.fs.open, or ml.process",
      ['io.popen("sleep 1"):close()'] = "file:close blocks the whole loop; ml.fs.open, or ml.process.run for a program",
      [FIFO] = "io.open blocks the whole loop; ml.fs.open, ml.fs.read or ml.fs.write would let other tasks run",
      ['require "socket".sleep(1)'] = "LuaSocket blocks the whole loop; ml.net or ml.http would let other tasks run",
    } do
      local folder <close> = folders.new {}
      local output = run(([[
local fifo = %q
os.execute("mkfifo " .. fifo)
ml.spawn(ml.sleep, 100)
ml.sleep(0)
%s
os.exit(0)]]):format(folder.path .. "/fifo", call))
      assert.matches("\nmoonloop: " .. hint, output, 1, true)
    end
  end)

  it("names no function of ours for one that computes", function()
    local output = run [[
ml.spawn(ml.sleep, 100)
ml.sleep(0)
local text = ("a"):rep(1200)
text:find(".-.-b")
os.exit(0)]]
    assert.matches("in method 'find'", output)
    assert.not_matches("blocks the whole loop", output)
  end)

  it("does so for one that computes", function()
    local output = run [[
local text = ("a"):rep(1200)
return text:find(".-.-b")]]
    assert.matches("in method 'find', called at SCRIPT:3", output)
    local many = sanitized and 300000 or 3000000 -- values, which take longer than a block may
    output = run("local many = " .. many .. [[; local text = "[" .. ("[],"):rep(many) .. "1]"
table.sort({ 1, 2 }, function() -- where it cannot let others run
  return not require("moonloop").json.decode(text)
end)]], "--block-limit 20")
    assert.matches("in %a+ 'decode', called at SCRIPT:4", output)
    output = run("local many = " .. many .. [[; local s = require("moonloop").schema
local lists = s.list(s.list(s.int()))
local text = "[" .. ("[],"):rep(many) .. "[] ]"
table.sort({ 1, 2 }, function()
  return not lists:decode(text) -- a tail call would leave no line of the script
end)]], "--block-limit 20")
    assert.matches("in method 'decode', called at SCRIPT:6", output)
    assert.not_matches("called at [moonloop]", output, 1, true)
  end)

  it("says which handler's response takes long to encode, and what to do", function()
    local encoding = "encoding the JSON of its response (its handler is at SCRIPT:6)"
    local routes = {
      ['app:get("/rows", function() return rows end)'] = encoding,
      ['app:use(function(req, next) return next(req) end):get("/rows", function() return rows end)'] = encoding,
      ['app:get("/rows", { response = ml.schema.list(ml.schema.int()) }, function() return rows end)'] = encoding,
      ['app:get("/rows", function() local text = ml.json.encode(rows) return text end)'] =
        "in field 'encode', called at SCRIPT:6",
    }
    for route, expected in pairs(routes) do
      local output = run(([[
local ml = require "moonloop"
local rows = {}
for i = 1, %d do rows[i] = i end
local app = ml.web.app()
%s
local server = assert(ml.web.listen(app, { port = 0 }))
assert(ml.http.get(("http://127.0.0.1:%%d/rows"):format(server.port)).status == 200)
server:stop(0)]]):format(3000000, route), "--block-limit 20")
      assert.matches("GET /rows (request 1) has held up the loop for ", output, 1, true)
      assert.matches(expected, output, 1, true)
      assert.matches("\nmoonloop: JSON is encoded in one stretch, some 20 ms a MB; a stream of pieces", output, 1, true)
    end
  end)

  it("shows the coroutines that the line is in", function()
    local output = run(compute .. [[
coroutine.wrap(function()
  local inner = coroutine.create(function() compute(0.5) end)
  coroutine.resume(inner)
end)()]])
    assert.matches("in upvalue 'compute'.*in the coroutine that resumed it:.*coroutine.resume.*SCRIPT:10"
      .. ".*in the coroutine that resumed it:.*main chunk", output)
  end)

  it("survives interruptions: C functions that call back, collections, finalizers", function()
    local output, status = run([[
local limit = ml.now() + 1.5
local text = ("x"):rep(2000)
while ml.now() < limit do
  text:gsub(".", string.upper)
  setmetatable({}, {__gc = function() text:rep(100) end})
  local deep
  function deep(n) return n > 0 and 1 + deep(n - 1) or 0 end
  pcall(deep, 5000)
  coroutine.wrap(function() pcall(deep, 1000) coroutine.yield() end)()
  table.sort({5, 3, 4, 1}, math.ult)
  pcall(error, "x")
end
print("whole")]], "--block-limit 5")
    assert.equal(0, status)
    assert.matches("whole", output)
  end)

  it("leaves a hook of debug.sethook in place", function()
    local output = run(compute .. [[
local lines = 0
debug.sethook(function() lines = lines + 1 end, "l")
compute(0.5)
local before = lines
local x = 1
x = x + 1
debug.sethook()
assert(lines > before + 1)]])
    assert.matches("has held up", output)
    assert.not_matches("assertion", output)
  end)

  it("refuses invalid limits", function()
    for _, text in ipairs {"x", "-1", "nan", "''"} do
      local _, status = run("", "--block-limit " .. text)
      assert.equal(2, status)
    end
  end)
end)

describe("the watchdog of serve", function()
  it("names method, route and request, and interrupts what exceeds --cpu-limit", function()
    local app <close> = folders.file [[
local app = require("moonloop").web.app()
app:get("/fine", function() return "fine" end)
app:get("/hog/{id}", function() while true do pcall(tostring, {}) end end)
return app
]]
    local server <close> = process.serve(app.path, "--cpu-limit 0.5")
    local url = server.url
    local hog = ml.spawn(ml.http.get, url .. "/hog/7", {timeout = 100})
    local fine = assert(ml.http.get(url .. "/fine", {timeout = 100}))
    assert.equal(200, fine.status)
    assert.equal(500, hog:await().status)
    fine = assert(ml.http.get(url .. "/fine", {timeout = 100}))
    assert.equal("fine", fine.body)
    local _, _, text = server:stop()
    assert.matches("moonloop: GET /hog/{id} %(request %d+%) has held up the loop for", text)
    assert.matches("GET /hog/7 failed: cpu: more than 0.5 s of CPU time without a suspension\nstack traceback:.-:3: in",
      text)
  end)
end)
