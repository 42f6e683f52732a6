-- `moonloop test --coverage`: the lines of tasks, handlers, coroutines and jobs count. Debian has no
-- package of LuaCov, so a small stand-in has the parts of it that the runner relies on.
local lfs = require "lfs"
local binary = require("spec.support").binary
local folders = require "spec.support.folder"
local process = require "spec.support.process"

local small_luacov = {
  ["luacov/runner.lua"] = [[
local stats = require "luacov.stats"
local runner = { data = {} }
local raw_exit, ended = os.exit, false

function runner.debug_hook(_, line)
  local name = debug.getinfo(2, "S").source:match "^@.-([^/]*)$"
  if not name or name ~= runner.configuration.include[1] then return end
  local file = runner.data[name] or { max = 0, max_hits = 0 }
  runner.data[name], file.max, file[line] = file, math.max(file.max, line), (file[line] or 0) + 1
end

function runner.update_stats(old, extra)
  old.max = math.max(old.max, extra.max)
  extra.max, extra.max_hits = nil, nil
  for line, hits in pairs(extra) do old[line] = (old[line] or 0) + hits end
end

function runner.save_stats()
  local saved = stats.load(runner.configuration.statsfile) or {}
  for name, file in pairs(runner.data) do
    if saved[name] then runner.update_stats(saved[name], file) else saved[name] = file end
  end
  stats.save(runner.configuration.statsfile, saved)
  runner.data = {}
end

local function on_exit()
  if ended then return end
  ended = true
  debug.sethook(nil)
  runner.save_stats()
end

function runner.init(configuration)
  runner.configuration = configuration
    or { statsfile = os.getenv "PWD" .. "/stats", include = { "covered.lua" }, exclude = {}, odd = print }
  os.exit = function(...)
    on_exit()
    raw_exit(...)
  end
  debug.sethook(runner.debug_hook, "l")
  local create = coroutine.create
  coroutine.create = function(f)
    local co = create(f)
    debug.sethook(co, runner.debug_hook, "l")
    return co
  end
  coroutine.wrap = function(f)
    local co = coroutine.create(f)
    return function(...) return select(2, assert(coroutine.resume(co, ...))) end
  end
  runner.anchor = setmetatable({}, { __gc = on_exit })
end

return setmetatable(runner, { __call = function(_, configuration) runner.init(configuration) end })
]],
  ["luacov/stats.lua"] = [[
local M = {}
function M.load(path)
  local pipe, files = io.open(path), {}
  if not pipe then return nil end
  for name, line, hits in pipe:read "a":gmatch "(%S+) (%d+) (%d+)\n" do
    local file = files[name] or { max = 0, max_hits = 0 }
    files[name], file[tonumber(line)], file.max = file, tonumber(hits), math.max(file.max, tonumber(line))
  end
  pipe:close()
  return files
end
function M.save(path, files)
  local pipe = assert(io.open(path, "w"))
  for name, file in pairs(files) do
    for line, hits in pairs(file) do
      if math.type(line) then pipe:write(name, " ", line, " ", hits, "\n") end
    end
  end
  pipe:close()
end
return M
]],
}

-- Runs `moonloop test --coverage` with this code for covered.lua and this spec. Returns the hits of the
-- lines marked with "-- NAME", by name; the output; the status.
local function cover(code, spec)
  local folder <close> = folders.new { ["covered.lua"] = code, ["covered_spec.lua"] = spec }
  lfs.mkdir(folder.path .. "/luacov")
  for name, text in pairs(small_luacov) do folders.write(folder.path .. "/" .. name, text) end
  local output, status = process.sh(("cd '%s' && timeout 300 %s test --coverage -o TAP covered_spec.lua")
    :format(folder.path, process.quote(binary)))
  local stats, hits, number = folders.read(folder.path .. "/stats"), {}, 0
  for line in code:gmatch "([^\n]*)\n" do
    number = number + 1
    local name = line:match "%-%- (%w+)$"
    if name then hits[name] = tonumber(stats:match(("covered.lua %d (%%d+)\n"):format(number)) or 0) end
  end
  return hits, output, status
end

describe("moonloop test --coverage", function()
  it("counts lines in tasks, handlers, coroutines and jobs, also of other pools and of offloaded handlers", function()
    local hits, output, status = cover([[
local ml = require "moonloop"
local M = {}
local wrap = coroutine.wrap
function M.plain()
  return 1 -- PLAIN
end
function M.task()
  ml.sleep(0)
  return 2 -- TASK
end
function M.job(n)
  local sum = 0
  for i = 1, n do
    sum = sum + i -- JOB
  end
  return sum
end
function M.coroutine()
  return wrap(function()
    coroutine.yield(3) -- COROUTINE
  end)()
end
function M.child()
  return ml.spawn(function()
    return 4 -- CHILD
  end):await()
end
function M.fails()
  error "no" -- FAILS
end
function M.app()
  local app = ml.web.app()
  app:get("/", function()
    return "x" -- HANDLER
  end)
  app:get("/offloaded", { offload = true }, function()
    return "y" -- OFFLOADED
  end)
  return app
end
function M.never()
  return 5 -- NEVER
end
return M
]], [[
local ml = require "moonloop"
local covered = require "covered"
it("runs all", function()
  assert.equal(1, covered.plain())
  assert.equal(2, ml.spawn(covered.task):await())
  assert.equal(2, ml.gather(covered.task, covered.task))
  local server = ml.web.listen(covered.app(), { port = 0 })
  for _, path in ipairs { "/", "/offloaded" } do
    assert.equal(200, ml.http.get("http://127.0.0.1:" .. server.port .. path).status)
  end
  server:stop(0)
  assert.equal(3, covered.coroutine())
  assert.equal(10, ml.executor.run(covered.job, 4))
  assert.equal(3, ml.executor.run(covered.coroutine))
  assert.equal(4, ml.executor.run(covered.child))
  assert.is_false(pcall(ml.executor.run, covered.fails))
  local pool <close> = ml.executor.new { threads = 2, max_jobs = 1 }
  pool:map({ 1, 2, 3 }, covered.job, { chunk = 1 })
end)
]])
    assert.equal("ok 1 - runs all\n1..1\n", output)
    assert.equal(0, status)
    assert.same({ PLAIN = 1, TASK = 3, HANDLER = 1, OFFLOADED = 1, COROUTINE = 2, JOB = 10, CHILD = 1, FAILS = 1,
      NEVER = 0 }, hits)
  end)

  it("counts where specs fail, too", function()
    local hits, output, status = cover([[
return function()
  return 1 -- JOB
end
]], [[
it("fails", function()
  require "moonloop".executor.run(require "covered")
  error "no"
end)
]])
    assert.equal(1, status)
    assert.matches("not ok 1 %- fails", output)
    assert.same({ JOB = 1 }, hits)
  end)

  it("says what to install if there is no LuaCov", function()
    local output, status = process.test('it("x", function() end)', "--coverage")
    assert.matches("install LuaCov", output)
    assert.equal(1, status)
  end)
end)
