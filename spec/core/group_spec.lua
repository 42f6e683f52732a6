-- ml.group, in both of its forms
local ml = require "moonloop"
local support = require "spec.support.tasks"

local U, started, await, closing = support.UNIT, support.started, support.await, support.closing

--- The two forms of a group, as functions that run a body with it.
local forms = {
  ["in its to-be-closed form"] = function(body)
    local g <close> = ml.group()
    return body(g)
  end,
  ["in its function form"] = function(body) return ml.group(body) end,
}

for form, group in pairs(forms) do
  describe("a group " .. form, function()
    it("TG-01 ends after all children, whose values can be read", function()
      local a, b
      group(function(g)
        a = g:spawn(function() ml.sleep(U) return 42 end)
        b = g:spawn(function() ml.sleep(2 * U) return 11 end)
      end)
      assert.equal("done", a:status())
      assert.equal("done", b:status())
      assert.equal(42, a:await())
      assert.equal(11, b:await())
    end)

    it("TG-01 gives the body's results", function()
      assert.same({ 1, nil, 3, n = 3 }, table.pack(group(function(g)
        g:spawn(ml.sleep, 0)
        return 1, nil, 3
      end)))
    end)

    it("TG-03 continues when one child is cancelled by hand", function()
      local a, b
      group(function(g)
        a = g:spawn(ml.sleep, 100)
        b = g:spawn(function() ml.sleep(U) return "b" end)
        ml.sleep(0)
        a:cancel()
      end)
      assert.equal("cancelled", a:status())
      assert.equal("b", b:await())
    end)

    it("TG-04 a child's failure cancels the others, and the block raises it unchanged", function()
      local E, cleaned, after = {}, false, false
      local other
      local ok, err = pcall(function()
        group(function(g)
          g:spawn(function() ml.sleep(U) error(E) end)
          other = g:spawn(function()
            local _ <close> = closing(function() cleaned = true end)
            ml.sleep(50)
          end)
        end)
        after = true
      end)
      assert.is_false(ok)
      assert.equal(E, err)
      assert.is_true(cleaned)
      assert.equal("cancelled", other:status())
      assert.is_false(after)
    end)

    it("TG-04 a child that returns nil and an error has failed", function()
      local E = {}
      local ok, err = pcall(group, function(g)
        g:spawn(function() return nil, E end)
        g:spawn(ml.sleep, 50)
      end)
      assert.is_false(ok)
      assert.equal(E, err)
    end)

    it("TG-05 a child's failure wakes the body, and the block raises it, not Cancelled", function()
      local E, seen = {}, nil
      local ok, err = pcall(group, function(g)
        g:spawn(function() error(E) end)
        local _ <close> = closing(function(_, e) seen = e.kind end)
        ml.sleep(100)
      end)
      assert.is_false(ok)
      assert.equal(E, err)
      assert.equal("cancelled", seen)
    end)

    for name, body_sleeps in pairs { ["TG-07"] = false, ["TG-08"] = true } do
      it(name .. " cancelling its task reaches all children, and the awaiter gets plain Cancelled", function()
        local counter = 0
        local task = started(function()
          group(function(g)
            for _ = 1, 5 do
              g:spawn(function()
                local _ <close> = closing(function(_, e) if e.kind == "cancelled" then counter = counter + 1 end end)
                ml.sleep(100)
              end)
            end
            if body_sleeps then
              local _ <close> = closing(function(_, e) if e.kind == "cancelled" then counter = counter + 10 end end)
              ml.sleep(100)
            end
          end)
        end)
        ml.sleep(0)
        task:cancel("why")
        local ok, err = await(task)
        assert.is_false(ok)
        assert.equal("cancelled", err.kind)
        assert.equal("why", err.reason)
        assert.equal(body_sleeps and 15 or 5, counter)
        assert.equal("cancelled", task:status())
      end)
    end

    it("TG-09 errors of the children's cleanup win over Cancelled", function()
      local E = {}
      local task = started(function()
        group(function(g)
          for _ = 1, 3 do
            g:spawn(function()
              local _ <close> = closing(function() error(E) end)
              ml.sleep(100)
            end)
          end
        end)
      end)
      ml.sleep(0)
      task:cancel()
      local ok, err = await(task)
      assert.is_false(ok)
      assert.equal("group", err.kind)
      assert.same({ E, E, E }, err.errors)
    end)

    it("TG-10 the body's error cancels the children, also before they could run", function()
      for _, wait in ipairs { true, false } do
        local E, child = {}, nil
        local ok, err = pcall(group, function(g)
          child = g:spawn(ml.sleep, 100)
          if wait then ml.sleep(U) end
          error(E)
        end)
        assert.is_false(ok)
        assert.equal(E, err)
        assert.equal("cancelled", child:status())
      end
    end)

    it("TG-12 an outer child's failure cancels the inner group; only it is raised", function()
      local E = {}
      local ok, err = pcall(group, function(outer)
        outer:spawn(function() ml.sleep(U) error(E) end)
        group(function(inner)
          inner:spawn(function() ml.sleep(100) error("inner") end)
        end)
      end)
      assert.is_false(ok)
      assert.equal(E, err)
    end)

    it("TG-14 a child's failure during the body's cleanup wins over Cancelled", function()
      local E = {}
      local task = started(function()
        group(function(g)
          g:spawn(function() ml.shield(function() ml.sleep(U) error(E) end) end)
          local _ <close> = closing(function() ml.shield(ml.sleep, 2 * U) end)
          ml.sleep(100)
        end)
      end)
      ml.sleep(0)
      task:cancel()
      local outer = ml.spawn(function() return task:await() end)
      local ok, err = await(outer)
      assert.is_false(ok)
      assert.equal(E, err)
    end)

    it("TG-17 a child's failure and the body's own: both", function()
      local E, mine = {}, {}
      local ok, err = pcall(group, function(g)
        g:spawn(function() error(E) end)
        local _ <close> = closing(function() error(mine) end)
        ml.sleep(100)
      end)
      assert.is_false(ok)
      assert.equal("group", err.kind)
      assert.same({ E, mine }, err.errors)
      assert.is_true(rawequal(E, err.errors[1]) and rawequal(mine, err.errors[2]))
    end)

    it("TG-19 releases its children when they have ended", function()
      local weak = setmetatable({}, { __mode = "k" })
      local function alive()
        collectgarbage()
        collectgarbage()
        local n = 0
        for _ in pairs(weak) do n = n + 1 end
        return n
      end
      group(function(g)
        for i = 1, 10 do
          weak[g:spawn(function() ml.sleep(U / 4) end)] = i
          ml.sleep(U / 2)
          assert.is_true(alive() < 5)
        end
        ml.sleep(U)
        assert.equal(0, alive())
      end)
    end)

    it("TG-20 waits for what a child spawns after the body is over", function()
      local ended = 0
      group(function(g)
        g:spawn(function()
          ml.sleep(U)
          for _ = 1, 2 do
            g:spawn(function()
              ml.sleep(U)
              ended = ended + 1
            end)
          end
        end)
      end)
      assert.equal(2, ended)
    end)

    it("TG-22 refuses to spawn while it fails; the function is not run", function()
      local E, ran, message = {}, false, nil
      local ok, err = pcall(group, function(g)
        g:spawn(function()
          local _ <close> = closing(function()
            message = select(2, pcall(g.spawn, g, function() ran = true end))
          end)
          ml.sleep(100)
        end)
        g:spawn(function() ml.sleep(U) error(E) end)
      end)
      assert.is_false(ok)
      assert.equal(E, err)
      assert.matches("being cancelled", message)
      assert.is_false(ran)
    end)

    it("TG-23 refuses to spawn after its block; the function is not run", function()
      local kept, ran
      group(function(g) kept = g end)
      local ok, err = pcall(kept.spawn, kept, function() ran = true end)
      assert.is_false(ok)
      assert.matches("left", err)
      ml.sleep(0)
      assert.is_nil(ran)
      assert.has_error(function()
        local _ <close> = kept
      end)
    end)

    it("TG-25 leaves no stale cancel: the task can wait after it has caught the error", function()
      pcall(group, function(g)
        g:spawn(error, "E")
        ml.sleep(100)
      end)
      ml.sleep(U)
    end)

    it("TG-27 a cancel from outside in the tick of a child's failure is not swallowed", function()
      local E, caught, waited = {}, nil, false
      local task
      task = started(function()
        local _, err = pcall(group, function(g)
          g:spawn(function()
            task:cancel("outside")
            error(E)
          end)
          ml.sleep(100)
        end)
        caught = err
        ml.sleep(0)
        waited = true
      end)
      local ok, err = await(task)
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
      assert.equal("outside", err.reason)
      assert.equal(E, caught)
      assert.is_false(waited)
    end)

    it("is cancelled by request without an error", function()
      local child
      group(function(g)
        child = g:spawn(ml.sleep, 100)
        g:cancel("enough")
      end)
      local ok, err = await(child)
      assert.is_false(ok)
      assert.equal("enough", err.reason)
    end)

    it("prints all members of a group error", function()
      local _, err = pcall(group, function(g)
        g:spawn(function() ml.sleep(0) error("first one", 0) end)
        g:spawn(function() ml.sleep(0) error("second one", 0) end)
      end)
      assert.equal("group", err.kind)
      assert.equal(2, #err.errors)
      assert.matches("first one", tostring(err))
      assert.matches("second one", tostring(err))
    end)

    it("TO-22 inside a timeout: the group's error comes out, no timeout on top", function()
      local E, child = {}, nil
      local ok, err = pcall(ml.timeout, 5 * U, group, function(g)
        child = g:spawn(function()
          local _ <close> = closing(function() error(E) end)
          ml.sleep(100)
        end)
        ml.sleep(100)
      end)
      assert.is_false(ok)
      assert.equal(E, err)
      assert.equal("failed", child:status())
    end)
  end)
end

describe("ml.group", function()
  it("in its function form ends a waiting body when it is cancelled by request", function()
    local went_on = false
    assert.equal(0, select("#", ml.group(function(g)
      g:spawn(function() g:cancel() end)
      ml.sleep(100)
      went_on = true
    end)))
    assert.is_false(went_on)
    ml.sleep(0)
  end)

  it("that is never left is closed with its task", function()
    local task = ml.spawn(function()
      local g = ml.group()
      g:spawn(function() return 1 end)
    end)
    task:await()
    ml.sleep(0)
    collectgarbage()
  end)

  it("refuses a value that is not a function", function()
    assert.has_error(function() ml.group(1) end)
    assert.has_error(function() ml.group(nil) end)
    local g <close> = ml.group()
    assert.has_error(function() g:spawn(1) end)
  end)

  it("carries the tracebacks of all members", function()
    local task = ml.spawn(function()
      local g <close> = ml.group()
      local function culprit_one() error("1") end
      local function culprit_two() error("2") end
      g:spawn(function() ml.sleep(0) culprit_one() return 1 end)
      g:spawn(function() ml.sleep(0) culprit_two() return 1 end)
    end)
    pcall(task.await, task)
    assert.matches("culprit_one", task:traceback())
    assert.matches("culprit_two", task:traceback())
  end)
end)
