-- Cancelled operations on files: the task goes on at once, and nothing is left.
local ml = require "moonloop"
local support = require "spec.support"
local tasks = require "spec.support.tasks"

local fs = ml.fs

local function within(f)
  return function()
    local folder <close> = assert(fs.temp_dir())
    f(folder.path)
  end
end

--- The open descriptors that lead into the folder.
local function descriptors(folder)
  local list = {}
  for _, name in ipairs(assert(fs.list "/proc/self/fd")) do
    local target = fs.readlink("/proc/self/fd/" .. name)
    if target and target:find(folder, 1, true) then list[#list + 1] = target end
  end
  return #list
end

describe("a cancelled operation on files", function()
  it("shows what it waits for, and ends its task", within(function(folder)
    local fifo = folder .. "/fifo"
    assert(os.execute(("mkfifo '%s'"):format(fifo)))
    for _, f in ipairs { fs.read, function(path) return fs.write(path, "x") end,
      function(path) return fs.copy(path, folder .. "/copy") end } do
      local task = tasks.started(f, fifo)
      local shown
      for _, entry in ipairs(ml.tasks()) do
        if entry.id == task.id then shown = entry.waiting_for end
      end
      assert.matches("^ml%.fs%.%l+ of .*/fifo$", shown)
      task:cancel("enough")
      local ok, err = tasks.await(task)
      assert.is_false(ok)
      assert.same({ "cancelled", "enough" }, { err.kind, err.reason })
    end
    tasks.eventually(function() return descriptors(folder) == 0 end)
    assert.same({ "fifo" }, fs.list(folder))
  end))

  it("leaves its threads to others", within(function(folder)
    local fifo = folder .. "/fifo"
    assert(os.execute(("mkfifo '%s'"):format(fifo)))
    local waiting = {}
    for i = 1, 8 do waiting[i] = ml.spawn(fs.read, fifo) end
    ml.sleep(0.01)
    for _, task in ipairs(waiting) do task:cancel() end
    assert.equal("directory", fs.stat(folder).type)
    for _, task in ipairs(waiting) do tasks.await(task) end
  end))

  it("obeys deadlines", within(function(folder)
    local fifo = folder .. "/fifo"
    assert(os.execute(("mkfifo '%s'"):format(fifo)))
    local text, err = ml.timeout(0.01, fs.read, fifo)
    assert.is_nil(text)
    assert.equal("timeout", err.kind)
  end))

  it("at any moment leaves a file whole, no parts, and no descriptors", within(function(folder)
    local path = folder .. "/a"
    local old, new = support.xs(500000), support.xs(3000000)
    local operations = {
      function() fs.write(path, new, { atomic = true, sync = false }) end,
      function() fs.write(path, new) end,
      function() fs.copy(folder .. "/source", path) end,
      function() fs.read(path) end,
      function()
        local file <close> = fs.open(path)
        file:read "a"
      end,
      function()
        local temp <close> = fs.temp_file()
        temp:write(old)
      end,
      function() fs.mkdir(folder .. "/x/y/z", { parents = true }) end,
      function() fs.remove(folder .. "/x", { recursive = true }) end,
    }
    assert(fs.write(folder .. "/source", new))
    for round = 1, 60 do
      assert(fs.write(path, old))
      local operation = operations[round % #operations + 1]
      local task = ml.spawn(operation)
      for _ = 1, round // #operations do ml.sleep(0) end
      task:cancel()
      local ok, err = tasks.await(task)
      assert(ok or err.kind == "cancelled", err)
      tasks.eventually(function() return descriptors(folder) == 0 end)
      local text = fs.read(path)
      assert.is_true(text == old or text == new, "round " .. round .. " has left a mix")
      for _, name in ipairs(fs.list(folder)) do assert(name == "a" or name == "source" or name == "x", name) end
    end
  end))

  it("leaves no temporary folder behind", function()
    local process = require "spec.support.process"
    local folder <close> = assert(fs.temp_dir())
    local output, status = process.run([[
      local tasks = {}
      for i = 1, 40 do
        local function f()
          local dir <close> = assert(ml.fs.temp_dir())
          local file <close> = assert(ml.fs.temp_file())
          ml.sleep(0.001)
        end
        tasks[i] = ml.spawn(f)
        for _ = 1, i % 7 do ml.sleep(0) end
        tasks[i]:cancel()
      end
      for _, task in ipairs(tasks) do pcall(task.await, task) end
    ]], nil, ("TMPDIR='%s'; export TMPDIR;"):format(folder.path))
    assert.equal("", output)
    assert.equal(0, status)
    assert.same({}, fs.list(folder.path))
  end)

  it("at the end of the program does not hold it up", function()
    local process = require "spec.support.process"
    local folder <close> = assert(fs.temp_dir())
    assert(os.execute(("mkfifo '%s/fifo'"):format(folder.path)))
    local output, status = process.run(([[
      ml.spawn(ml.fs.read, "%s/fifo")
      ml.spawn(function() for _ in ml.fs.watch("%s") do end end)
      ml.sleep(0.05)
      os.exit(3)
    ]]):format(folder.path, folder.path))
    assert.equal("", output)
    assert.equal(3, status)
  end)
end)

it("operations on files work in jobs of an executor", within(function(folder)
  local pool <close> = ml.executor.new { threads = 2 }
  local function work(path)
    local files = require "moonloop".fs
    assert(files.write(path, "text"))
    local watch <close> = assert(files.watch(path))
    assert(files.write(path, "more", { append = true }))
    local event = watch:next()
    local file <close> = assert(files.open(path))
    return file:read "a", event.kind, event.path
  end
  for i = 1, 4 do
    local path = folder .. "/" .. i
    assert.same({ "textmore", "changed", path }, { pool:run(work, path) })
  end
end))
