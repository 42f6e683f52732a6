-- moonloop.h: messages of other threads to a runtime.
local ml = require "moonloop"
local process = require "spec.support.process"
local support = require "spec.support"

local checksum = require "checksum"

local sh, quote = process.sh, process.quote

local folder = support.binary:match "^(.*)/[^/]+$" .. "/spec/"
local name = os.tmpname()

describe("a function in C that another thread completes", function()
  before_each(function() assert.is_true(os.execute("rm -f " .. name .. " && mkfifo " .. name)) end)
  after_each(function() os.remove(name) end)

  -- A thread that opens the pipe to read waits until somebody opens it to write.
  local function release()
    local file = assert(io.open(name, "w"))
    file:write "abc"
    file:close()
  end

  it("gives its result, or nil and an error", function()
    local expected = tonumber(sh("sum " .. quote(support.binary)):match "^(%d+)")
    assert.equal(expected, checksum.file(support.binary))
    local value, err = checksum.file "/nosuch"
    assert.is_nil(value)
    assert.equal("file: /nosuch: no such file or directory (ENOENT)", tostring(err))
  end)

  it("is waited for, while other tasks run", function()
    local task = ml.spawn(checksum.file, name)
    for _ = 1, 5 do ml.sleep(0.001) end
    assert.equal("suspended", task:status())
    release()
    assert.is_number(task:await())
  end)

  it("continues at once when it is cancelled; the thread's result is dropped", function()
    local value, err = ml.timeout(0.01, checksum.file, name)
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
    assert.is_number(checksum.file(support.binary)) -- another one, meanwhile
    release()
  end)

  it("completes many at once", function()
    local list = {}
    for i = 1, 50 do list[i] = { checksum.file, "spec/core/embed_spec.lua" } end
    local sums = ml.gather(list)
    for i = 2, 50 do assert.equal(sums[1], sums[i]) end
  end)
end)

describe("a C program", function()
  it("can have two runtimes, each on a thread, run more than once and be stopped", function()
    os.remove(name)
    local output, status = sh("timeout 300 " .. quote(folder .. "two_runtimes") .. " " .. name)
    assert.equal("both closed\n", output)
    assert.equal(0, status)
  end)
end)
