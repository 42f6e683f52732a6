-- Files as streams.
local ml = require "moonloop"
local support = require "spec.support"
local tasks = require "spec.support.tasks"

local fs = ml.fs

--- A spec with a fresh folder: f(path of a file in it, path of the folder).
local function within(f)
  return function()
    local folder <close> = assert(fs.temp_dir())
    f(folder.path .. "/a", folder.path)
  end
end

local function raised(f, ...)
  local ok, err = ml.catch(f, ...)
  assert.is_false(ok)
  return err
end

describe("an error of a file", function()
  it("names its path and the call", within(function(path, folder)
    local function named(kind, call, result, err)
      assert.is_nil(result)
      assert.same({ kind, path, call }, { err.kind, err.path, err.call })
      assert.truthy(err.message:find(path, 1, true))
    end
    assert(fs.write(path, ("x"):rep(100)))
    local file = assert(fs.open(path, "r+"))
    file.max_line = 10
    named("limit", "read", file:read "l")
    named("limit", "read", file:read_until("y", 5))
    named("fs", "seek", file:seek("set", -1))
    file:close()
    named("closed", "read", file:read())
    named("closed", "write", file:write "x")
    named("closed", "seek", file:seek())
    named("closed", "fsync", file:sync())
    named("closed", "truncate", file:truncate())
    path = "/dev/full"
    local full <close> = assert(fs.open(path, "w"))
    named("fs", "write", full:write(("x"):rep(1 << 20)))
    path = folder
    local ok, opened = pcall(fs.open, folder)
    if ok and opened then named("fs", "read", opened:read()) end
  end))
end)

describe("a file", function()
  it("is written and read like one of io, in the same modes", within(function(path, folder)
    local function both(mode, f)
      local results = {}
      for i, open in ipairs { io.open, fs.open } do
        local name = folder .. "/" .. i
        local file = open(name, mode)
        results[i] = file and { f(file) } or {}
        if file then file:close() end
        results[i].content = fs.read(name)
      end
      assert.same(results[1], results[2])
    end
    both("r", function() error "it is not there" end)
    both("w", function(file)
      file:write("one\ntwo\n", 3, "\n")
      return file:seek()
    end)
    both("r", function(file) return file:read("l", 2, "L", "a", "a", "l") end)
    both("a", function(file) file:write "four\n" end)
    both("r+", function(file)
      local first = file:read()
      file:seek "cur"
      file:write "TWO"
      local place = file:seek "cur"
      return first, place, file:read "a"
    end)
    both("a+b", function(file)
      file:write "five"
      return file:seek("set", 4), file:read "a", file:seek("end", -2), file:read(10), file:read(1)
    end)
    both("r+", function(file) return file:seek("set", 100), file:read(1), file:seek "cur" end)
    both("w+", function(file)
      file:write(support.xs(300000))
      return file:seek "set", #file:read "a"
    end)
    assert.is_nil(fs.open(path))
  end))

  it("has its path, and its lines", within(function(path)
    assert(fs.write(path, "a\nb\nc"))
    local file <close> = assert(fs.open(path))
    assert.equal(path, file.path)
    assert.matches("^the file '.*/a'", tostring(file))
    local list = {}
    for line in file:lines() do list[#list + 1] = line end
    assert.same({ "a", "b", "c" }, list)
    assert.is_nil(file.nothing)
  end))

  it("goes to a place, and forgets what was read ahead", within(function(path)
    local text = {}
    for i = 1, 50000 do text[i] = ("%05d"):format(i) end
    assert(fs.write(path, table.concat(text)))
    local file <close> = assert(fs.open(path, "r+"))
    for _, i in ipairs { 1, 50000, 2, 30000, 49999, 3 } do
      assert.equal((i - 1) * 5, file:seek("set", (i - 1) * 5))
      assert.equal(text[i], file:read(5))
      assert.equal(i * 5, file:seek())
    end
    assert(file:write "xxxxx")
    assert.equal("00005", file:read(5))
    assert.equal(20, file:seek("cur", -5))
    assert.equal("EINVAL", select(2, file:seek("cur", -21)).code)
    assert.equal("EINVAL", select(2, file:seek("end", -1000000)).code)
    assert.equal("xxxxx", fs.read(path):sub(16, 20))
  end))

  it("is cut off, and put on the disk", within(function(path)
    local file <close> = assert(fs.open(path, "w+"))
    assert.equal(file, file:write "0123456789")
    assert.equal(file, file:truncate(5))
    assert.equal(file, file:sync())
    assert.equal("01234", fs.read(path))
    assert(file:seek("set", 2))
    assert.equal(file, file:truncate())
    assert.equal(2, fs.stat(path).size)
    assert(file:truncate(4))
    assert.equal("01\0\0", fs.read(path))
    assert.matches("cannot be negative", raised(file.truncate, file, -1))
    local reading <close> = assert(fs.open(path))
    local ok, err = reading:truncate(1)
    assert.is_nil(ok)
    assert.same({ "fs", "truncate", path }, { err.kind, err.call, err.path })
  end))

  it("is closed for good", within(function(path)
    local file = assert(fs.open(path, "w"))
    file:close()
    file:close()
    for name, result in pairs { write = { file:write "x" }, read = { file:read() }, seek = { file:seek() },
      sync = { file:sync() }, truncate = { file:truncate(0) } } do
      assert.is_nil(result[1], name)
      assert.equal("closed", result[2].kind)
    end
  end))

  it("says what it cannot do", within(function(path, folder)
    local file <close> = assert(fs.open(path, "w"))
    local text, err = file:read()
    assert.is_nil(text)
    assert.same({ "fs", "EBADF" }, { err.kind, err.code })
    assert.matches("reading from the file '.*/a'", err.message)
    file:close()
    local reading <close> = assert(fs.open(path))
    assert.same({ "fs", "EBADF" }, { select(2, reading:write "x").kind, select(2, reading:write "x").code })
    for _, case in ipairs { { "ENOENT", folder .. "/none" }, { "EISDIR", folder }, { "ENOENT", path .. "x/y", "w" } } do
      text, err = fs.open(case[2], case[3])
      assert.is_nil(text)
      assert.same({ "fs", case[1], case[2], "open" }, { err.kind, err.code, err.path, err.call })
    end
    assert.matches("a mode is", raised(fs.open, path, "x"))
    assert.matches("a mode is", raised(fs.open, path, "rw"))
    assert.matches("\"set\", \"cur\" or \"end\" expected", raised(reading.seek, reading, "here"))
    assert.equal("ESPIPE", select(2, assert(fs.open "/dev/null"):seek("set", 1)).code)
  end))

  it("has one reader at a time, and its reads are cancelled without loss", within(function(path)
    assert(os.execute(("mkfifo '%s'"):format(path)))
    local reader = assert(fs.open(path)) -- does not wait for who writes
    local task = tasks.started(function() return reader:read() end)
    assert.matches("is already reading from the file", raised(reader.read, reader))
    task:cancel()
    tasks.await(task)
    local writer <close> = assert(fs.open(path, "w"))
    assert(writer:write "one\ntwo\n")
    assert.equal("one", reader:read())
    assert.equal("two", reader:read())
    reader.timeout = 0.01
    assert.equal("timeout", select(2, reader:read()).kind)
    reader:close()
  end))

  it("is written by several tasks in the order of their calls", within(function(path)
    local file <close> = assert(fs.open(path, "w"))
    local jobs, expected = {}, {}
    for i = 1, 30 do
      expected[i] = tostring(i):rep(100 * i)
      jobs[i] = function() assert(file:write(expected[i])) end
    end
    ml.gather(jobs)
    assert.equal(table.concat(expected), fs.read(path))
  end))

  it("is appended to by several files at once", within(function(path)
    local jobs = {}
    for i = 1, 5 do
      jobs[i] = function()
        local file <close> = assert(fs.open(path, "a"))
        for _ = 1, 50 do assert(file:write(tostring(i):rep(20), "\n")) end
      end
    end
    ml.gather(jobs)
    local count = 0
    for line in io.lines(path) do
      assert.equal(line:sub(1, 1):rep(20), line)
      count = count + 1
    end
    assert.equal(250, count)
  end))

  it("is closed by the collector where it is forgotten", within(function(path)
    warn "@off" -- a debug build says so
    assert(fs.write(path, "x"))
    assert(fs.open(path))
    local function open_descriptors()
      local count = 0
      for _, name in ipairs(assert(fs.list "/proc/self/fd")) do
        if fs.readlink("/proc/self/fd/" .. name) == path then count = count + 1 end
      end
      return count
    end
    tasks.eventually(function()
      collectgarbage()
      return open_descriptors() == 0
    end)
    warn "@on"
  end))
end)

describe("a temporary file", function()
  it("is removed when its block is left", function()
    local path
    do
      local file <close> = assert(fs.temp_file())
      path = file.path
      assert.equal(tonumber("600", 8), fs.stat(path).mode)
      assert(file:write "text")
      assert.equal("text", fs.read(path))
      assert.equal(0, file:seek "set")
      assert.equal("text", file:read "a")
    end
    assert.is_false(fs.exists(path))
  end)

  it("is removed when its task is cancelled, or fails", function()
    for _, ends in ipairs { function() error "wrong" end, function() ml.sleep(1000) end } do
      local path
      local task = ml.spawn(function()
        local file <close> = assert(fs.temp_file())
        path = file.path
        ends()
      end)
      tasks.eventually(function() return path end)
      task:cancel()
      tasks.await(task)
      assert.is_false(fs.exists(path))
    end
  end)
end)
