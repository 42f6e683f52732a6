-- Changes of files and folders.
local ml = require "moonloop"
local process = require "spec.support.process"
local support = require "spec.support"
local tasks = require "spec.support.tasks"

local fs = ml.fs

--- A spec with a fresh folder: f(path).
local function within(f)
  return function()
    local folder <close> = assert(fs.temp_dir())
    f(folder.path)
  end
end

--- Reads events until one has this kind and path; those before must be among the `others`, kinds by path.
local function expect(watch, kind, path, others)
  while true do
    local event = watch:next()
    assert(event, "the watch has ended")
    if event.kind == kind and event.path == path then return event end
    local allowed = others and others[event.path]
    assert(allowed == event.kind or (type(allowed) == "table" and allowed[event.kind]),
      ("%s %s came before %s %s"):format(event.kind, event.path, kind, path))
  end
end

describe("a watched folder", function()
  it("tells what is made, changed, renamed and removed in it", within(function(folder)
    local watch <close> = assert(fs.watch(folder))
    local a, b = folder .. "/a", folder .. "/b"
    assert(fs.write(a, "1"))
    expect(watch, "created", a)
    assert(fs.write(a, "2", { append = true }))
    expect(watch, "changed", a)
    assert(fs.rename(a, b))
    assert.same({ kind = "renamed", path = b, from = a }, expect(watch, "renamed", b, { [a] = "changed" }))
    assert(fs.chmod(b, "600"))
    expect(watch, "changed", b)
    assert(fs.remove(b))
    expect(watch, "removed", b, { [b] = "changed" })
    assert(fs.mkdir(b))
    expect(watch, "created", b)
    assert(fs.write(b .. "/inner", ""))
    assert(fs.remove(b, { recursive = true }))
    expect(watch, "removed", b)
  end))

  it("tells all that happens after the call, in order", within(function(folder)
    local watch <close> = assert(fs.watch(folder))
    for i = 1, 200 do assert(fs.mkdir(("%s/%d"):format(folder, i))) end
    for i = 1, 200 do
      assert.same({ kind = "created", path = ("%s/%d"):format(folder, i) }, watch:next())
    end
  end))

  it("takes a replacement for a change", within(function(folder)
    local path = folder .. "/a"
    assert(fs.write(path, "old"))
    local watch <close> = assert(fs.watch(folder))
    for _ = 1, 3 do
      assert(fs.write(folder .. "/part", "new"))
      assert(fs.rename(folder .. "/part", path))
      local part = { created = true, changed = true, removed = true }
      expect(watch, "changed", path, { [folder .. "/part"] = part })
    end
  end))

  it("tells of files that come from elsewhere and go there", within(function(folder)
    assert(fs.mkdir(folder .. "/in"))
    assert(fs.write(folder .. "/a", ""))
    local watch <close> = assert(fs.watch(folder .. "/in"))
    assert(fs.rename(folder .. "/a", folder .. "/in/a"))
    expect(watch, "created", folder .. "/in/a")
    assert(fs.rename(folder .. "/in/a", folder .. "/a"))
    expect(watch, "removed", folder .. "/in/a")
  end))

  it("does not tell of what is in the folders below", within(function(folder)
    assert(fs.mkdir(folder .. "/sub"))
    local watch <close> = assert(fs.watch(folder))
    assert(fs.write(folder .. "/sub/a", ""))
    assert(fs.write(folder .. "/a", ""))
    expect(watch, "created", folder .. "/a")
  end))

  it("is told of by the path that was given", within(function(folder)
    for given, shown in pairs { [folder .. "/"] = folder, [folder .. "/."] = folder .. "/." } do
      local watch <close> = assert(fs.watch(given))
      assert(fs.mkdir(folder .. "/x"))
      expect(watch, "created", shown .. "/x")
      assert(fs.remove(folder .. "/x"))
    end
    local output = process.sh(("cd '%s' && '%s' -e %s"):format(folder, support.binary, process.quote([[
      local ml = require "moonloop"
      for _, path in ipairs { ".", "sub" } do
        ml.fs.mkdir "sub"
        local watch <close> = assert(ml.fs.watch(path))
        ml.fs.write(path .. "/file", "")
        print(watch:next().path)
      end
      local watch <close> = assert(ml.fs.watch "file")
      ml.fs.remove "file"
      print(watch:next().path)
    ]])))
    assert.equal("./file\nsub/file\nfile\n", output)
  end))
end)

describe("a watched tree", function()
  it("tells of all below, also in new folders", within(function(folder)
    assert(fs.mkdir(folder .. "/old/deep", { parents = true }))
    local watch <close> = assert(fs.watch(folder, { recursive = true }))
    assert(fs.mkdir(folder .. "/old/deep/a"))
    expect(watch, "created", folder .. "/old/deep/a")
    for i = 1, 20 do
      local new = folder .. "/new" .. i
      assert(fs.mkdir(new .. "/x/y/z", { parents = true }))
      expect(watch, "created", new)
      expect(watch, "created", new .. "/x")
      expect(watch, "created", new .. "/x/y")
      expect(watch, "created", new .. "/x/y/z")
    end
    assert(fs.write(folder .. "/new7/x/y/z/file", "text"))
    expect(watch, "created", folder .. "/new7/x/y/z/file")
    expect(watch, "changed", folder .. "/new7/x/y/z/file")
  end))

  it("goes with folders that are renamed", within(function(folder)
    assert(fs.mkdir(folder .. "/a/b", { parents = true }))
    local watch <close> = assert(fs.watch(folder, { recursive = true }))
    assert(fs.rename(folder .. "/a", folder .. "/c"))
    expect(watch, "renamed", folder .. "/c")
    assert(fs.mkdir(folder .. "/c/b/d"))
    expect(watch, "created", folder .. "/c/b/d")
    assert(fs.mkdir(folder .. "/a"))
    expect(watch, "created", folder .. "/a")
    assert(fs.mkdir(folder .. "/a/b"))
    expect(watch, "created", folder .. "/a/b")
  end))

  it("forgets folders that leave it, and finds what is in those that come", within(function(folder)
    assert(fs.mkdir(folder .. "/in/a/b", { parents = true }))
    local watch <close> = assert(fs.watch(folder .. "/in", { recursive = true }))
    assert(fs.rename(folder .. "/in/a", folder .. "/a"))
    expect(watch, "removed", folder .. "/in/a")
    assert(fs.mkdir(folder .. "/a/unseen"))
    assert(fs.rename(folder .. "/a", folder .. "/in/c"))
    expect(watch, "created", folder .. "/in/c")
    expect(watch, "created", folder .. "/in/c/b")
    expect(watch, "created", folder .. "/in/c/unseen")
    assert(fs.remove(folder .. "/in/c", { recursive = true }))
    expect(watch, "removed", folder .. "/in/c/b")
    expect(watch, "removed", folder .. "/in/c/unseen")
    expect(watch, "removed", folder .. "/in/c")
  end))

  it("does not follow links", within(function(folder)
    assert(fs.mkdir(folder .. "/outside"))
    assert(fs.mkdir(folder .. "/in"))
    assert(fs.symlink("../outside", folder .. "/in/link"))
    assert(fs.symlink(".", folder .. "/in/self"))
    local watch <close> = assert(fs.watch(folder .. "/in", { recursive = true }))
    assert(fs.mkdir(folder .. "/outside/unseen"))
    assert(fs.mkdir(folder .. "/in/seen"))
    expect(watch, "created", folder .. "/in/seen")
  end))
end)

describe("a watched file", function()
  it("is the one of its name", within(function(folder)
    local path = folder .. "/a"
    assert(fs.write(path, "1"))
    local watch <close> = assert(fs.watch(path))
    assert(fs.write(path, "2"))
    expect(watch, "changed", path)
    for i = 1, 3 do -- as some editors do it
      assert(fs.write(folder .. "/part", tostring(i)))
      assert(fs.rename(folder .. "/part", path))
      expect(watch, "changed", path)
    end
    assert(fs.write(path, "3", { append = true }))
    expect(watch, "changed", path)
    assert(fs.remove(path))
    expect(watch, "removed", path, { [path] = "changed" })
    assert(fs.write(path, "4"))
    expect(watch, "created", path)
  end))

  it("may be a link that leads elsewhere by way of another one", within(function(folder)
    for i = 1, 2 do
      assert(fs.mkdir(folder .. "/" .. i))
      assert(fs.write(("%s/%d/file"):format(folder, i), tostring(i)))
    end
    assert(fs.symlink("1", folder .. "/data"))
    assert(fs.symlink("data/file", folder .. "/file"))
    local watch <close> = assert(fs.watch(folder .. "/file"))
    assert(fs.symlink("2", folder .. "/next"))
    assert(fs.rename(folder .. "/next", folder .. "/data"))
    expect(watch, "changed", folder .. "/file")
    assert.equal("2", fs.read(folder .. "/file"))
  end))
end)

describe("what is watched", function()
  it("may be replaced as a whole", within(function(folder)
    local path = folder .. "/current"
    assert(fs.mkdir(path))
    assert(fs.write(path .. "/both", ""))
    assert(fs.write(path .. "/old", ""))
    assert(fs.mkdir(folder .. "/next"))
    assert(fs.write(folder .. "/next/both", ""))
    assert(fs.write(folder .. "/next/new", ""))
    local watch <close> = assert(fs.watch(path))
    assert(fs.rename(path, folder .. "/before"))
    assert(fs.rename(folder .. "/next", path))
    -- On a busy machine it may have been seen that it was gone.
    local event = watch:next()
    if event.kind == "removed" then
      expect(watch, "created", path)
    else
      assert.same({ kind = "changed", path = path }, event)
      expect(watch, "removed", path .. "/old")
      expect(watch, "created", path .. "/new")
    end
    assert(fs.mkdir(path .. "/more"))
    expect(watch, "created", path .. "/more", { [path .. "/both"] = "created", [path .. "/new"] = "created" })
  end))

  it("may be behind a link that is replaced", within(function(folder)
    for i = 1, 2 do assert(fs.mkdir(folder .. "/" .. i)) end
    assert(fs.symlink("1", folder .. "/current"))
    local path = folder .. "/current"
    local watch <close> = assert(fs.watch(path))
    assert(fs.symlink("2", folder .. "/next"))
    assert(fs.rename(folder .. "/next", path))
    expect(watch, "changed", path)
    assert(fs.mkdir(folder .. "/2/here"))
    expect(watch, "created", path .. "/here")
  end))

  it("may be gone for long, and so may be what leads to it", within(function(folder)
    local path = folder .. "/a/b/c"
    assert(fs.mkdir(path, { parents = true }))
    local watch <close> = assert(fs.watch(path))
    assert(fs.remove(folder .. "/a", { recursive = true }))
    expect(watch, "removed", path)
    assert(fs.mkdir(path, { parents = true }))
    expect(watch, "created", path)
    assert(fs.mkdir(path .. "/d"))
    expect(watch, "created", path .. "/d")
    assert(fs.rename(folder .. "/a", folder .. "/x"))
    expect(watch, "removed", path)
    assert(fs.rename(folder .. "/x", folder .. "/a"))
    expect(watch, "created", path)
  end))

  it("has to be there at first", within(function(folder)
    local watch, err = fs.watch(folder .. "/none")
    assert.is_nil(watch)
    assert.same({ "fs", "ENOENT", folder .. "/none" }, { err.kind, err.code, err.path })
    assert.matches("unknown option 'x' of ml.fs.watch", select(2, pcall(fs.watch, folder, { x = 1 })))
    assert.matches("option 'recursive' of ml.fs.watch is a string",
      select(2, pcall(fs.watch, folder, { recursive = "" })))
  end))
end)

describe("a watch", function()
  it("ends with its loop, and with its block", within(function(folder)
    local function instances()
      local count = 0
      for _, name in ipairs(assert(fs.list "/proc/self/fd")) do
        if (fs.readlink("/proc/self/fd/" .. name) or ""):find "inotify" then count = count + 1 end
      end
      return count
    end
    local before = instances()
    local task = tasks.started(function()
      for event in fs.watch(folder) do
        if event.kind == "created" then return event end
      end
    end)
    local block = tasks.started(function()
      local watch <close> = assert(fs.watch(folder))
      return watch:next()
    end)
    local written = 0
    tasks.eventually(function()
      written = written + 1
      fs.mkdir(folder .. "/" .. written)
      return task:status() == "done" and block:status() == "done"
    end)
    assert.equal("created", task:await().kind)
    tasks.eventually(function() return instances() == before end)
  end))

  it("is cancelled while it begins and while it waits", within(function(folder)
    for passes = 0, 10 do
      local task = ml.spawn(function()
        for _ in fs.watch(folder) do error "nothing has happened" end
      end)
      for _ = 1, passes do ml.sleep(0) end
      task:cancel()
      local ok, err = tasks.await(task)
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
    end
    local watch <close> = assert(fs.watch(folder))
    local waiting = tasks.started(watch.next, watch)
    waiting:cancel()
    tasks.await(waiting)
    assert(fs.mkdir(folder .. "/a"))
    expect(watch, "created", folder .. "/a") -- the cancelled wait has lost nothing
  end))

  it("is closed under a task that waits, and has one such task", within(function(folder)
    local watch <close> = assert(fs.watch(folder))
    local waiting = tasks.started(watch.next, watch)
    assert.matches("another task is waiting", select(2, pcall(watch.next, watch)))
    watch:close()
    assert.is_nil(waiting:await())
    assert.is_nil(watch:next())
    watch:close()
  end))

  it("says when events were lost", within(function(folder)
    local limit = tonumber(fs.read "/proc/sys/fs/inotify/max_queued_events")
    if limit > 20000 then return end
    assert(fs.write(folder .. "/a", ""))
    assert(fs.write(folder .. "/b", ""))
    local watch <close> = assert(fs.watch(folder))
    -- Nobody takes events from the watch, which leaves them to the system then.
    for _ = 1, 5 do
      for i = 1, limit do
        if i % 1000 == 0 then ml.sleep(0) end
        local name = folder .. (i % 2 == 0 and "/a" or "/b")
        local file = assert(io.open(name, "a"))
        file:close()
      end
    end
    assert(fs.mkdir(folder .. "/last"))
    while true do
      local event = watch:next()
      if event.kind == "overflow" then
        assert.equal(folder, event.path)
        break
      end
    end
    assert(fs.mkdir(folder .. "/later"))
    repeat local event = watch:next() until event.kind == "created" and event.path == folder .. "/later"
  end))
end)

it("the example watch.lua keeps its numbers up to date", within(function(folder)
  assert(fs.write(folder .. "/a.txt", "one two"))
  local example <close> = assert(ml.process.spawn { support.binary, "scripts/examples/watch.lua", folder,
    stderr = "inherit" })
  local function line() return (example.stdout:read()) end
  assert.equal(folder .. "/a.txt\t2", line())
  assert.equal("watching", line())
  assert(fs.write(folder .. "/a.txt", "one two three", { atomic = true }))
  assert.equal(folder .. "/a.txt\t3", line())
  assert(fs.mkdir(folder .. "/sub"))
  assert(fs.write(folder .. "/sub/part", "four"))
  assert(fs.rename(folder .. "/sub/part", folder .. "/sub/b.txt"))
  assert.equal(folder .. "/sub/b.txt\t1", line())
  assert(fs.remove(folder .. "/a.txt"))
  assert.equal(folder .. "/a.txt\tis gone", line())
end))
