-- Tracebacks leave out the host's own frames, unless the environment asks for them.
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support"
local ml = require "moonloop"

local run = process.run

--- The traceback of what `f` raises in a task.
local function traceback_of(f)
  local task = ml.spawn(f)
  pcall(task.await, task)
  return (task:traceback():gsub("\n\t", "\n"))
end

--- The lines of a traceback that are not those of this file.
local function others(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    if not line:find("stack_text_spec.lua:", 1, true) then lines[#lines + 1] = line end
  end
  return lines
end

describe("a traceback", function()
  it("shows of the host only what the script has called, by its public name", function()
    local function boom() error "boom" end
    assert.same({ "stack traceback:", "[C]: in function 'error'", "[C]: in function 'ml.group'" },
      others(traceback_of(function() ml.group(function() boom() end) return 1 end)))
    assert.same({ "stack traceback:", "[C]: in function 'ml.sleep'" },
      others(traceback_of(function() ml.sleep "soon" return 1 end)))
    assert.same({ "stack traceback:", "[C]: in method 'queue:put'" },
      others(traceback_of(function() ml.queue():put(nil) return 1 end)))
    assert.same({ "stack traceback:", "[moonloop]: in function 'ml.web.listen'" },
      others(traceback_of(function() ml.web.listen {} return 1 end)))
    assert.same({ "stack traceback:", "[moonloop]: in method 'use'" },
      others(traceback_of(function() ml.web.app():use(1) return 1 end)))
  end)

  it("leaves out the callers of the outermost script", function()
    local output = run [[
local app = ml.web.app()
app:use(function(req, next)
  local res = next(req)
  return res
end)
app:get("/", function()
  error "in the handler"
end)
local server = ml.web.listen(app, { port = 0 })
ml.http.get("http://127.0.0.1:" .. server.port)
server:stop()
]]
    assert.matches("^moonloop: GET / failed: SCRIPT:8: in the handler\nstack traceback:\n" ..
      "\t%[C%]: in function 'error'\n\tSCRIPT:8: in function <SCRIPT:7>\n\t%[C%]: in local 'next'\n" ..
      "\tSCRIPT:4: in function <SCRIPT:3>\nin the handler of GET / %(SCRIPT:7%)\n$", output)
  end)

  it("names functions that the host has called by their lines, not by names of the host's", function()
    local output = run [[
ml.map({ 1 }, function()
  error "in map"
end)]]
    assert.matches("\tSCRIPT:3: in function <SCRIPT:2>\n$", output)
    assert.matches("\nin task 2, spawned at SCRIPT:2:\n", output)
    assert.matches("\n\t%[moonloop%]: in function 'ml.map'\n\tSCRIPT:2: in main chunk\n", output)
    assert.not_matches("%[moonloop%]/", output)
  end)

  it("is complete if MOONLOOP_TRACEBACK is full, or if all of it belongs to the host", function()
    local script <close> = folders.file 'local ml = require "moonloop" ml.web.listen {}'
    local output = process.sh(("MOONLOOP_TRACEBACK=full %s %s"):format(process.quote(support.binary),
      process.quote(script.path)))
    assert.matches("\n\t%[C%]: in function 'moonloop.core.fail'\n\t%[moonloop%]/web/listen.lua:%d+: in ", output)
    assert.matches("\n\t%[moonloop%]/core/map.lua:%d+: in ", traceback_of(function() return ml.map(1) end)
      :gsub("\n", "\n\t"))
  end)

  it("of a deep stack has its first and its last lines", function()
    local function deep(n) if n == 0 then error "deep" end deep(n - 1) end
    local text = traceback_of(function() deep(500) return 1 end)
    local _, lines = text:gsub("\n", "\n")
    assert.equal(22, lines)
    assert.matches("^stack traceback:\n%[C%]: in function 'error'\n", text)
    assert.matches("\n%.%.%.\t%(skipping 482 levels%)\n", text)
    assert.matches(": in function <[^\n]*>$", text)
  end)

  it("survives the overflow of the stack", function()
    local function endless() return 1 + endless() end
    assert.matches("skipping %d+ levels", traceback_of(endless))
  end)

  it("is walked once, however deep the stack is", { timeout = 10 }, function() -- counted from its top: minutes
    local function deep(n) if n == 0 then ml.sleep(100) return 1 end return 1 + deep(n - 1) end
    local task = ml.spawn(deep, 180000)
    ml.sleep(0)
    assert.matches("\n%s+%.%.%. %(%d+ more%)\n", ml.dump { traceback = true })
    assert.matches("skipping %d+ levels", task:traceback())
    task:cancel()
    local function own(n) if n == 0 then return ml.current() end return (own(n - 1)) end
    assert.equal("running", ml.spawn(function() return own(180000):status() end):await())
  end)

  it("works for a waiting task, too", function()
    local task = ml.spawn(function() ml.wait({ ml.spawn(ml.sleep, 100) }) end)
    ml.sleep(0)
    assert.same({ "stack traceback:", "\t[moonloop]: in function 'ml.wait'" }, others(task:traceback()))
    task:cancel()
  end)

  it("in ml.dump, and in the report of a blocked loop, leaves out the host's own frames", function()
    local output = run([[
local task = ml.spawn(function() ml.wait({ ml.spawn(ml.sleep, 100) }) end)
ml.sleep(0)
print(ml.dump { traceback = true })
task:cancel()
local function compute() local t = os.clock() + 0.3 while os.clock() < t do end end
compute()
ml.sleep(0)
os.execute "sleep 1"]], "--block-limit 50")
    assert.matches("SCRIPT:2: in function <SCRIPT:2>", output)
    assert.matches("SCRIPT:6: in local 'compute'", output)
    assert.matches("SCRIPT:9: in main chunk", output)
    assert.not_matches("in %?", output)
    assert.not_matches("'timeout'", output) -- a C function that a Lua part of the host has called
    assert.not_matches("%[moonloop%]/", output)
  end)

  it("does not mistake a script's file for the host's, whatever its folder is called", function()
    local f = load("local ml = ... error 'mine'", "@moonloop/core/mine.lua")
    local text = traceback_of(function() f(ml) return 1 end)
    assert.matches("\nmoonloop/core/mine.lua:1: in ", text)
  end)
end)

describe("a time slice", function()
  it("works in a script whose folder is called like the host's", function()
    local compute = load("local s = ... while not s.stop do end", "@moonloop/core/mine.lua")
    local state = {}
    local task = ml.spawn { compute, state, slice = 0.005 }
    ml.sleep(0.01)
    state.stop = true
    assert.is_nil(task:await())
  end)
end)
