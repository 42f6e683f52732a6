-- scripts/start.sh and scripts/build.sh, as a newcomer calls them.
local folders = require "spec.support.folder"
local ml = require "moonloop"
local processes = require "spec.support.process"
local support = require "spec.support"
local web = require "spec.support.web"
local lfs = require "lfs"

-- A folder with start.sh, the moonloop that runs the specs as what it builds, and a build that is noted.
local function project()
  local folder = folders.new {
    scripts = { ["start.sh"] = folders.read "scripts/start.sh", ["build.sh"] = "#!/bin/sh\necho built >>built\n" },
    build = { release = {} },
  }
  folders.link(folder.path .. "/build/release/moonloop", support.binary)
  folders.link(folder.path .. "/scripts/examples", lfs.currentdir() .. "/scripts/examples")
  os.execute(("chmod +x '%s'/scripts/*.sh"):format(folder.path))
  return folder
end

local function is_built(folder) return lfs.attributes(folder.path .. "/built") ~= nil end

describe("scripts/start.sh", function()
  it("reads its arguments before it does anything", function()
    local folder <close> = project()
    for arguments, message in pairs {
      abc = "the port must be a number from 0 to 65535, not 'abc'",
      ["70000"] = "the port must be a number from 0 to 65535, not '70000'",
      ["''"] = "the port must be a number from 0 to 65535, not ''",
      ["-1"] = "the port must be a number from 0 to 65535, not '-1'",
      ["1 2"] = "one port, please; '2' is too many",
    } do
      local output, status = processes.sh(("'%s/scripts/start.sh' %s"):format(folder.path, arguments))
      assert.equal("scripts/start.sh: " .. message, output:match "^[^\n]*")
      assert.matches("\nusage: scripts/start.sh %[PORT%]\n", output)
      assert.equal(2, status)
    end
    local output, status = processes.sh(("'%s/scripts/start.sh' --help"):format(folder.path))
    assert.matches("^usage: scripts/start.sh %[PORT%]\n", output)
    assert.equal(0, status)
    assert.is_false(is_built(folder))
  end)

  it("says what to try once the server listens, on the port that it has", function()
    local folder <close> = project()
    local pipe = assert(io.popen(("echo $$; exec '%s/scripts/start.sh' 0"):format(folder.path)))
    local pid = pipe:read "l"
    local port = pipe:read("l"):match ":(%d+) %(Ctrl%-C stops%)$"
    assert.is_true(is_built(folder))
    assert.equal("Hello, World!", assert(web.get(port, "/plaintext")).body)
    local text = pipe:read "l"
    repeat
      local line = pipe:read "l"
      text = text .. line .. "\n"
    until line:find("/sum", 1, true)
    local commands = 0
    for command in text:gmatch("curl ([^\n]*http://127.0.0.1:" .. port .. "/[^\n]*)") do
      local output, status = processes.sh("curl -sS --fail-with-body " .. command)
      assert.equal(0, status, output)
      commands = commands + 1
    end
    assert.equal(3, commands)
    assert(os.execute("kill -TERM " .. pid))
    pipe:read "a"
    assert.equal(0, select(3, pipe:close()))
  end)

  it("does not say what to try if the server does not start", function()
    local folder <close> = project()
    local taken = assert(ml.web.listen(ml.web.app(), { port = 0 }))
    local output, status = processes.sh(("'%s/scripts/start.sh' %d"):format(folder.path, taken.port))
    taken:stop()
    assert.equal(("moonloop: cannot listen on 127.0.0.1 port %d: address already in use\n"):format(taken.port),
      output:match "[^\n]*\n$") -- behind a report of a slow start, perhaps
    assert.not_matches("curl", output)
    assert.equal(1, status)
  end)
end)

describe("scripts/build.sh", function()
  it("says what is wrong with its arguments", function()
    for arguments, message in pairs {
      fast = "there is no build called 'fast'",
      ["release specs x"] = "one build and one target, please; 'x' is too many",
    } do
      local output, status = processes.sh("scripts/build.sh " .. arguments)
      assert.equal("scripts/build.sh: " .. message .. "\n" ..
        "usage: scripts/build.sh [release|debug|asan|tsan [TARGET]]\n", output)
      assert.equal(2, status)
    end
  end)
end)
