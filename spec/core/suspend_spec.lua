-- Where a task can be suspended, and where Lua itself cannot and the error says so.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local folders = require "spec.support.folder"

describe("waiting works", function()
  it("under pcall and xpcall", function()
    assert.same({ true, 1, 2, n = 3 }, table.pack(pcall(function(...) ml.sleep(0) return ... end, 1, 2)))
    local ok, message = pcall(function()
      ml.sleep(0)
      error("after", 0)
    end)
    assert.is_false(ok)
    assert.equal("after", message)
    local trace
    ok, message = xpcall(function(a)
      ml.sleep(0)
      error(a, 0)
    end, function(m)
      trace = debug.traceback()
      return "handled " .. m
    end, "arg")
    assert.is_false(ok)
    assert.equal("handled arg", message)
    assert.matches("suspend_spec", trace)
  end)

  it("under pcall in pcall, and pcall continues after it", function()
    local log = {}
    local ok = pcall(function()
      pcall(function()
        ml.sleep(0)
        error("inner")
      end)
      ml.sleep(0)
      log[1] = "went on"
      error("outer")
    end)
    assert.is_false(ok)
    assert.same({ "went on" }, log)
  end)

  it("in metamethods", function()
    local waiting = function(_, k)
      ml.sleep(0)
      return k
    end
    local v = setmetatable({}, {
      __index = waiting,
      __newindex = function(t, k, x) ml.sleep(0) rawset(t, k, x) end,
      __add = waiting,
      __concat = waiting,
      __eq = function() ml.sleep(0) return true end,
      __lt = function() ml.sleep(0) return true end,
      __le = function() ml.sleep(0) return true end,
      __len = function() ml.sleep(0) return 9 end,
      __unm = function() ml.sleep(0) return 8 end,
      __call = function(_, x) ml.sleep(0) return x end,
      __close = function() ml.sleep(0) end,
    })
    local other = setmetatable({}, getmetatable(v))
    assert.equal("field", v.field)
    v.x = 4
    assert.equal(4, rawget(v, "x"))
    assert.equal(3, v + 3)
    assert.equal("s", v .. "s")
    assert.is_true(v == other)
    assert.is_true(v < other)
    assert.is_true(v <= other)
    assert.equal(9, #v)
    assert.equal(8, -v)
    assert.equal(7, v(7))
    do local _ <close> = v end
  end)

  it("in iterators of a for loop", function()
    local sum = 0
    for i in function(_, i)
      ml.sleep(0)
      i = (i or 0) + 1
      return i <= 3 and i or nil
    end do
      sum = sum + i
    end
    assert.equal(6, sum)
    local proxy = setmetatable({}, { __pairs = function(t)
      ml.sleep(0)
      return function(_, k)
        ml.sleep(0)
        return not k and 1 or nil
      end, t, nil
    end })
    local n = 0
    for _ in pairs(proxy) do n = n + 1 end
    assert.equal(1, n)
  end)

  it("in a generator, and suspends the task, not the generator's caller", function()
    local passes = 0
    local other = ml.spawn(function() for _ = 1, 3 do passes = passes + 1 ml.sleep(0) end end)
    local generator = coroutine.wrap(function()
      for i = 1, 3 do
        ml.sleep(0)
        coroutine.yield(i, passes)
      end
    end)
    local seen = {}
    for i, p in generator do
      seen[#seen + 1] = i
      assert.is_true(p >= i)
    end
    assert.same({ 1, 2, 3 }, seen)
    other:await()
  end)

  it("in generators at any depth", function()
    local function nest(depth)
      return coroutine.wrap(function()
        if depth == 0 then
          ml.sleep(0)
          coroutine.yield("bottom")
          ml.sleep(0)
          return "end"
        end
        local inner = nest(depth - 1)
        coroutine.yield(inner())
        ml.sleep(0)
        return inner()
      end)
    end
    local g = nest(20)
    assert.equal("bottom", g())
    assert.equal("end", g())
    assert.has_error(g)
  end)

  it("in a coroutine that is resumed, under pcall, with several values", function()
    local co = coroutine.create(function(a, b)
      local c, d = coroutine.yield(pcall(function()
        ml.sleep(0)
        return a + b
      end))
      ml.sleep(0)
      error({ c, d })
    end)
    assert.same({ true, true, 3 }, { coroutine.resume(co, 1, 2) })
    local ok, err = coroutine.resume(co, "c", "d")
    assert.is_false(ok)
    assert.same({ "c", "d" }, err)
    assert.equal("dead", coroutine.status(co))
  end)

  it("while a generator is suspended by its task, others can neither resume nor close it", function()
    clock.virtual() -- a machine that stands still does not change its order
    local co = coroutine.create(function()
      ml.sleep(0.02)
      return "done"
    end)
    local task = ml.spawn(function() return coroutine.resume(co) end)
    ml.sleep(0)
    assert.equal("normal", coroutine.status(co))
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    assert.has_error(function() coroutine.close(co) end)
    assert.same({ true, "done" }, { task:await() })
  end)

  it("in code run by load and dofile", function()
    assert.equal(5, load("require('moonloop').sleep(0) return ...")(5))
    local file <close> = folders.file "require('moonloop').sleep(0) return 6"
    assert.equal(6, dofile(file.path))
  end)

  it("in a to-be-closed variable's handler, after an error too", function()
    local log = {}
    pcall(function()
      local _ <close> = setmetatable({}, { __close = function(_, err)
        ml.sleep(0)
        log[#log + 1] = err
      end })
      error("E", 0)
    end)
    assert.same({ "E" }, log)
  end)
end)

describe("TK-13 where Lua cannot suspend", function()
  local function message_of(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return err
  end

  it("the error names table.sort and the line", function()
    local err = message_of(function()
      table.sort({ 1, 2, 3 }, function(a, b)
        ml.sleep(0)
        return a < b
      end)
    end)
    assert.matches("ml.sleep: cannot wait inside 'table.sort' %(at spec/core/suspend_spec.lua:%d+%)", err)
    ml.sleep(0)
  end)

  it("the error names string.gsub", function()
    local err = message_of(string.gsub, "abc", "b", function() ml.sleep(0) end)
    assert.matches("cannot wait inside 'string.gsub'", err)
  end)

  it("the error names it through a generator and pcall", function()
    local err = message_of(table.sort, { 1, 2, 3 }, coroutine.wrap(function()
      local ok, e = pcall(ml.sleep, 0)
      assert(not ok)
      error(e, 0)
    end))
    assert.matches("cannot wait inside 'table.sort'", err)
  end)

  it("the error names __gc", function()
    local err
    setmetatable({}, { __gc = function() err = select(2, pcall(ml.sleep, 0)) end })
    collectgarbage()
    collectgarbage()
    assert.matches("cannot wait inside a __gc metamethod", err)
  end)

  it("the error names the function that wanted to wait", function()
    local task = ml.spawn(ml.sleep, 0)
    local err = message_of(string.gsub, "a", "a", function() task:await() end)
    assert.matches("task:await: cannot wait", err)
    err = message_of(string.gsub, "a", "a", function() ml.gather(function() end) end)
    assert.matches("ml.gather: cannot wait", err)
    task:await()
  end)

  it("spawn still works there", function()
    local task
    table.sort({ 2, 1 }, function(a, b)
      task = ml.spawn(function() return 1 end)
      return a < b
    end)
    assert.equal(1, task:await())
  end)
end)

describe("coroutine functions", function()
  it("do what Lua's own do outside of waits", function()
    local co = coroutine.create(function(...)
      local x = coroutine.yield(...)
      return x, coroutine.isyieldable()
    end)
    assert.equal("suspended", coroutine.status(co))
    assert.same({ true, 1, 2 }, { coroutine.resume(co, 1, 2) })
    assert.same({ true, "x", true }, { coroutine.resume(co, "x") })
    assert.equal("dead", coroutine.status(co))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
    assert.is_true(coroutine.close(co))
    local failing = coroutine.create(function() error({}) end)
    coroutine.resume(failing)
    assert.equal("dead", coroutine.status(failing))
    local closed = false
    local held = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      coroutine.yield()
    end)
    coroutine.resume(held)
    assert.is_true(coroutine.close(held))
    assert.is_true(closed)
    local me, main = coroutine.running()
    assert.equal("thread", type(me))
    assert.is_false(main)
    assert.has_error(function() coroutine.resume(1) end)
    assert.has_error(function() coroutine.wrap(1) end)
    assert.same({ false, "cannot resume non-suspended coroutine" },
      { coroutine.wrap(function() return coroutine.resume(coroutine.running()) end)() })
  end)

  it("wrap carries the traceback of the coroutine with the error", function()
    local task = ml.spawn(function()
      local function culprit() error("inside") end
      local generator = coroutine.wrap(function()
        ml.sleep(0)
        culprit()
      end)
      generator()
      return 1
    end)
    pcall(task.await, task)
    assert.matches("in a coroutine:", task:traceback())
    assert.matches("culprit", task:traceback())
  end)
end)

describe("require", function()
  local function preload(name, loader)
    package.preload[name] = loader
    package.loaded[name] = nil
  end

  after_each(function()
    for name in pairs(package.preload) do
      if name:match("^spec_m") then
        package.preload[name], package.loaded[name] = nil, nil
      end
    end
  end)

  it("does not prevent waiting: a module may wait at its top level", function()
    preload("spec_m1", function(name, extra)
      ml.sleep(0)
      return { name, extra }
    end)
    local m, extra = require "spec_m1"
    assert.same({ "spec_m1", ":preload:" }, m)
    assert.equal(":preload:", extra)
    assert.equal(m, require "spec_m1")
  end)

  it("of one module from two tasks loads it once; the second waits", function()
    local loads = 0
    preload("spec_m2", function()
      loads = loads + 1
      ml.sleep(0.01)
      return {}
    end)
    local function get() return require "spec_m2" end
    local a, b = ml.gather(get, get)
    assert.equal(1, loads)
    assert.equal(a, b)
  end)

  it("gives the loader's error to the waiting task", function()
    local E = {}
    preload("spec_m3", function()
      ml.sleep(0.01)
      error(E)
    end)
    local function get() return pcall(require, "spec_m3") end
    local a, b = ml.spawn(get), ml.spawn(get)
    assert.same({ false, E }, { a:await() })
    assert.equal(E, select(2, b:await()))
  end)

  it("by a task that is cancelled is taken over by the one that waits", function()
    clock.virtual() -- a machine that stands still does not change its order
    local loads = 0
    preload("spec_m4", function()
      loads = loads + 1
      ml.sleep(0.01)
      return "loaded"
    end)
    local a = ml.spawn(function() return require "spec_m4" end)
    local b = ml.spawn(function() return (require "spec_m4") end)
    ml.sleep(0)
    a:cancel()
    assert.is_false(pcall(a.await, a))
    assert.equal("loaded", b:await())
    assert.equal(2, loads)
  end)

  it("that is circular is an error, in one task and across two", function()
    preload("spec_m5", function() return (require "spec_m6") end)
    preload("spec_m6", function()
      ml.sleep(0)
      return (require "spec_m5")
    end)
    local ok, err = pcall(require, "spec_m5")
    assert.is_false(ok)
    assert.matches("circular", err)
    local results = ml.gather({
      function() return require "spec_m5" end,
      function() return require "spec_m6" end,
    }, { return_errors = true })
    assert.matches("circular", tostring(results[1]) .. tostring(results[2]))
  end)

  it("names what it tried when there is no such module", function()
    local ok, err = pcall(require, "spec_no.such")
    assert.is_false(ok)
    assert.matches("module 'spec_no.such' not found", err)
    assert.matches("no field package.preload", err)
    assert.matches("spec_no/such.lua", err)
    assert.has_error(function() require({}) end)
    assert.has_error(function() require() end)
  end)

  it("names the line that requires a module which does not compile", function()
    local folder <close> = folders.new { ["spec_m9.lua"] = "x y z" }
    local path = package.path
    package.path = folder.path .. "/?.lua"
    local line = debug.getinfo(1, "l").currentline + 1
    local _, err = pcall(function() require "spec_m9" end)
    package.path = path
    assert.matches("suspend_spec.lua:" .. line .. ": error loading module .spec_m9. from file", err)
    assert.matches("spec_m9.lua:1: ", err)
  end)

  it("stores true for a module without a value, and keeps what the module stored", function()
    preload("spec_m7", function() end)
    assert.is_true((require "spec_m7"))
    preload("spec_m8", function(name) package.loaded[name] = "stored" end)
    assert.equal("stored", (require "spec_m8"))
  end)
end)
