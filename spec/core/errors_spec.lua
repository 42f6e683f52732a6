-- An error is never lost, and never replaced by a cancel or a timeout.
local clock = require "moonloop.clock"
local ml = require "moonloop"
local process = require "spec.support.process"
local support = require "spec.support.tasks"
local yield = require "spec.support".yield

local U, await, closing = support.UNIT, support.await, support.closing

--- The two forms of a group, as functions that run a body with it.
local forms = {
  ["in its to-be-closed form"] = function(body)
    local g <close> = ml.group()
    return body(g)
  end,
  ["in its function form"] = function(body) return ml.group(body) end,
}

before_each(function() clock.virtual() end)

--- What cuts f off after a unit, as functions that run it and give how it ended.
local cuts = {
  ["a cancel"] = function(f)
    local task = ml.spawn(f)
    ml.sleep(U)
    task:cancel()
    return await(task)
  end,
  ["a limit"] = function(f) return pcall(ml.timeout, U, f) end,
  ["a deadline"] = function(f)
    return pcall(function()
      local d <close> = ml.deadline(U)
      f(d)
    end)
  end,
  ["the failure of a sibling"] = function(f)
    local ok, err = pcall(ml.group, function(g)
      g:spawn(f)
      g:spawn(function()
        ml.sleep(U)
        error("the sibling's", 0)
      end)
    end)
    if ok or err.kind ~= "group" then return ok, err end
    for i = #err.errors, 1, -1 do
      if err.errors[i] == "the sibling's" then table.remove(err.errors, i) end
    end
    if #err.errors > 1 then return ok, err end
    return ok, err.errors[1]
  end,
}

--- Waits until it is cut off, and stops that here.
local function be_cut() assert(not ml.catch(ml.sleep, 1000)) end

for cut, run in pairs(cuts) do
  for form, group in pairs(forms) do
    describe(cut .. " that reaches a group " .. form, function()
      it("does not replace the error of its body while a child is alive", function()
        local E, child = {}, nil
        local ok, err = run(function()
          group(function(g)
            child = g:spawn(ml.sleep, 1000)
            be_cut()
            error(E)
          end)
        end)
        assert.is_false(ok)
        assert.is_true(rawequal(E, err))
        assert.equal("cancelled", child:status())
      end)

      it("does not replace the error of its body's clean-up", function()
        local E = {}
        local ok, err = run(function()
          group(function(g)
            g:spawn(ml.sleep, 1000)
            local _ <close> = closing(function() error(E) end)
            ml.sleep(1000)
          end)
        end)
        assert.is_false(ok)
        assert.is_true(rawequal(E, err))
      end)

      it("does not replace the error of a child's clean-up, nor count as one", function()
        local E = {}
        local ok, err = run(function()
          group(function(g)
            g:spawn(function()
              local _ <close> = closing(function() error(E) end)
              ml.sleep(1000)
            end)
            ml.sleep(1000)
          end)
        end)
        assert.is_false(ok)
        assert.is_true(rawequal(E, err))
      end)

      it("does not replace the body's error together with a child's", function()
        local mine, childs = {}, {}
        local ok, err = run(function()
          group(function(g)
            g:spawn(function()
              be_cut()
              error(childs)
            end)
            be_cut()
            error(mine)
          end)
        end)
        assert.is_false(ok)
        assert.equal("group", err.kind)
        assert.equal(2, #err.errors)
      end)

      it("does not replace the error of a group inside of it", function()
        local E = {}
        local ok, err = run(function()
          group(function(outer)
            outer:spawn(ml.sleep, 1000)
            group(function(inner)
              inner:spawn(ml.sleep, 1000)
              be_cut()
              error(E)
            end)
          end)
        end)
        assert.is_false(ok)
        assert.is_true(rawequal(E, err))
      end)
    end)
  end

  describe(cut .. " that clean-up meets while it waits", function()
    local waits = {
      ["a sleep"] = function() ml.sleep(0) end,
      ["a pcall round a wait"] = function() pcall(ml.sleep, 0) ml.sleep(0) end,
      ["a limit"] = function() ml.timeout(1000, ml.sleep, 1) ml.sleep(0) end,
      ["a gather"] = function() ml.gather({ ml.sleep, 1000 }, { ml.sleep, 1000 }) end,
      ["a group"] = function()
        local g <close> = ml.group()
        g:spawn(ml.sleep, 1000)
        ml.sleep(0)
      end,
    }
    for what, wait in pairs(waits) do
      it("does not replace the error under way: " .. what, function()
        local E, cleaned = {}, 0
        local ok, err = run(function()
          local _ <close> = closing(function()
            cleaned = cleaned + 1
            wait()
            cleaned = cleaned + 1
          end)
          be_cut()
          error(E)
        end)
        assert.is_false(ok)
        assert.is_true(rawequal(E, err))
        assert.equal(1, cleaned)
      end)
    end

    it("does not bring back an error that was caught before", function()
      local task
      local ok, err = run(function()
        local function handled()
          ml.timeout(1000, function() error { handled = true } end)
        end
        pcall(handled)
        ml.catch(handled)
        xpcall(handled, function(e) return e end)
        coroutine.resume(coroutine.create(handled))
        coroutine.close(coroutine.create(handled))
        load(function() error { handled = true } end)
        task = ml.current()
        local _ <close> = closing(function() ml.sleep(0) end)
        be_cut()
      end)
      if cut == "a cancel" then
        assert.is_false(ok)
        assert.equal("cancelled", err.kind)
        assert.equal("cancelled", task:status())
      elseif cut == "a limit" then
        assert.same({ true, nil }, { ok, err })
      elseif cut == "a deadline" then
        assert.is_false(ok)
        assert.equal("timeout", err.kind)
      else
        assert.equal("the sibling's", err)
        assert.equal("cancelled", task:status())
      end
    end)
  end)
end

describe("clean-up that an error has started", function()
  it("may use limits of its own, which work as usual", function()
    local E, seen = {}, nil
    local ok, err = pcall(function()
      ml.timeout(1000, function()
        local _ <close> = closing(function()
          seen = table.pack(ml.timeout(U, ml.sleep, 1000))
        end)
        error(E)
      end)
    end)
    assert.is_false(ok)
    assert.is_true(rawequal(E, err))
    assert.is_nil(seen[1])
    assert.equal("timeout", seen[2].kind)
  end)

  it("may end a group by request", function()
    local E, ended = {}, false
    local task = ml.spawn(function()
      local _ <close> = closing(function()
        ml.group(function(g)
          g:spawn(function() g:cancel() end)
          ml.sleep(1000)
        end)
        ended = true
      end)
      error(E)
    end)
    local ok, err = await(task)
    assert.is_false(ok)
    assert.is_true(rawequal(E, err))
    assert.is_true(ended)
  end)
end)

describe("the block of a group that is left where waiting is impossible", function()
  for form, group in pairs(forms) do
    it("raises the error of its body, not that it cannot wait: " .. form, function()
      local E, child = {}, nil
      local ok, err = pcall(table.sort, { 1, 2 }, function()
        group(function(g)
          child = g:spawn(ml.sleep, 1000)
          error(E)
        end)
      end)
      assert.is_false(ok)
      assert.is_true(rawequal(E, err))
      ml.wait { child }
      assert.equal("cancelled", child:status())
    end)
  end
end)

describe("a task in which a C function has yielded by itself", function()
  local function yields() yield() end

  local problem = "errors_spec%.lua:%d+: a C function yielded to moonloop's loop"

  it("fails with an error that names the place, raised to its awaiter", function()
    local cleaned = 0
    local task = ml.spawn(function()
      local _ <close> = closing(function() cleaned = cleaned + 1 end)
      yield()
    end)
    local ok, err = await(task)
    assert.is_false(ok)
    assert.matches(problem, err)
    assert.equal("failed", task:status())
    assert.equal(err, select(2, await(task)))
    assert.equal(1, cleaned)
    assert.matches(problem, select(2, pcall(ml.gather, yields)))
    assert.matches(problem, ml.gather({ yields }, { return_errors = true })[1].value)
    assert.matches(problem, select(2, pcall(ml.group, function(g) g:spawn(yields) end)))
    assert.matches(problem, select(2, pcall(ml.race, yields)))
  end)

  it("fails in the same way if nobody has kept its handle", function()
    local inner
    local task = ml.spawn(function()
      inner = ml.current()
      ml.spawn(ml.sleep, U)
      yield()
    end)
    local ok, err = await(task)
    assert.is_false(ok)
    assert.matches(problem, err)
    assert.equal(task, inner)
    ml.sleep(2 * U)
  end)

  it("is reported if nobody waits for it", function()
    local output = process.run [[
local yield = require("spec.support").yield
ml.spawn(function() yield() end)]]
    assert.matches("nobody awaited it: SCRIPT:3: a C function yielded", output)
  end)
end)

describe("an error that many tasks pass on", function()
  local HOPS = 2000
  local function culprit() error "root" end

  --- Kilobytes that are in use after f, and its results.
  local function measured(f)
    collectgarbage()
    local before = collectgarbage "count"
    local result = f()
    return collectgarbage "count" - before, result
  end

  local chains = {
    ["by awaiting each other"] = function()
      local task = ml.spawn(function() culprit() return 1 end)
      for _ = 1, HOPS do
        local before = task
        task = ml.spawn(function()
          local value = before:await()
          return value
        end)
      end
      return task
    end,
    ["as groups in groups"] = function()
      local function level(n)
        if n == 0 then culprit() end
        ml.group(function(g) g:spawn(level, n - 1) end)
      end
      return ml.spawn(level, HOPS)
    end,
    ["as groups in groups, with another one each time"] = function()
      local function level(n)
        if n == 0 then culprit() end
        ml.group(function(g)
          g:spawn(level, n - 1)
          g:spawn(function()
            be_cut()
            error("another " .. n, 0)
          end)
        end)
      end
      return ml.spawn(level, HOPS)
    end,
    ["as gathers in gathers"] = function()
      local function level(n)
        if n == 0 then culprit() end
        local value = ml.gather({ level, n - 1 }, function() end)
        return value
      end
      return ml.spawn(level, HOPS)
    end,
  }
  for how, chain in pairs(chains) do
    it("shows the first and the last of their tracebacks: " .. how, function()
      local used, task = measured(function()
        local task = chain()
        local ok, err = await(task)
        assert.is_false(ok)
        if type(err) == "string" then assert.matches("root", err) end
        assert.is_true(#tostring(err) < 5000)
        return task
      end)
      local text = task:traceback()
      assert.is_true(#text < 10000)
      assert.matches("upvalue 'culprit'", text)
      assert.matches("it came through %d+ more", text)
      assert.is_true(used < HOPS * 20) -- each copied all of them once: HOPS * HOPS / 10
    end)
  end

  it("from a few nested generators keeps the tracebacks of all of them", function()
    local function walk(n)
      return coroutine.wrap(function()
        if n == 0 then
          local task = ml.spawn(function() culprit() return 1 end)
          task:await()
        end
        for value in walk(n - 1) do coroutine.yield(value) end
      end)
    end
    local task = ml.spawn(function()
      for _ in walk(3) do ml.sleep(0) end
    end)
    await(task)
    local text = task:traceback()
    local _, coroutines = text:gsub("in a coroutine:", "")
    assert.equal(4, coroutines)
    assert.matches("in task %d+, spawned at", text)
    assert.matches("upvalue 'culprit'", text)
  end)
end)
