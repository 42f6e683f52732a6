-- ml.process leaves nothing behind: no descriptor, no process that nobody has reaped; and what happens where
-- the surroundings are hostile.
local folders = require "spec.support.folder"
local left = require "spec.support.left"
local ml = require "moonloop"
local process = require "spec.support.process"

local run = ml.process.run

local descriptors, children = left.descriptors, left.children

describe("many short programs", function()
  it("leave no descriptor and no process, however they end", function()
    local function all()
      ml.gather({
        { run, { "true" } }, { run, { "false", check = true } }, { run, { "no-such-program" } },
        { run, { "true", cwd = "/no/such" } }, { run, { "true", stdout = "/no/such/file" } },
        { run, { "cat", stdin = ("x"):rep(1024):rep(100), max_output = 10 } },
        { run, { "sleep", 1000, timeout = 0 } }, { ml.timeout, 0, run, { "sleep", 1000 } },
      }, { return_errors = true })
    end
    all()
    local before = descriptors()
    for _ = 1, 20 do all() end
    assert.equal(before, descriptors())
    assert.equal(0, children())
  end)
end)

describe("a process that has no descriptors left", function()
  it("is told so, and leaves no program behind, whichever descriptor is missing", function()
    local output = process.run([[
      local files, free = {}, {}
      while true do
        local file = io.open "/dev/null"
        if not file then break end
        files[#files + 1] = file
      end
      local seen = {}
      for missing = 0, 20 do
        local result, err = ml.process.run { "/bin/true" }
        if result then break end
        if err.code ~= "EMFILE" then error(err) end
        seen[#seen + 1] = err.message
        table.remove(files):close()
      end
      print(table.concat(seen, "\n"))
      print(ml.process.run { "/bin/true" }.ok)
    ]], "--block-limit 0", "ulimit -n 60;")
    assert.matches("no pipes for it: Too many open files\n", output)
    assert.matches("it was started and cannot be watched, so it was killed: Too many open files\n", output)
    assert.matches("\ntrue\n$", output)
  end)
end)

describe("a parent that ignores SIGCHLD", function()
  it("does not keep us from learning how a program ended", function()
    local output = process.run([[
      print(ml.process.run { shell = "exit 7" }.code, ml.process.run { shell = "kill -HUP $$" }.signal)
    ]], "--block-limit 0", "trap '' CHLD;")
    assert.equal("7\tHUP\n", output)
  end)
end)

describe("a runtime that closes", function()
  it("ends programs that tasks wait for", function()
    local file <close> = folders.file ""
    local _, status = process.run(([[
      ml.spawn(ml.process.run, { shell = "echo $$; exec sleep 1000", stdout = %q })
      while not ml.json.decode(io.open(%q):read "a") do ml.sleep(0.005) end
      os.exit(5)
    ]]):format(file.path, file.path))
    assert.equal(5, status)
    assert.is_false(left.is_alive(folders.read(file.path):match "%d+"))
  end)

  it("kills those that do not end in time", function()
    local file <close> = folders.file ""
    local text = "trap '' TERM; echo $$; while :; do sleep 0.01; done"
    local output = process.run(([[
      ml.spawn(ml.process.run, { shell = %q, stdout = %q, kill_after = 600 })
      while not ml.json.decode(io.open(%q):read "a") do ml.sleep(0.005) end
      os.exit(0)
    ]]):format(text, file.path, file.path))
    assert.matches("%d task%(s%) did not end when they were cancelled", output)
    assert.is_false(left.is_alive(folders.read(file.path):match "%d+"))
  end)
end)
