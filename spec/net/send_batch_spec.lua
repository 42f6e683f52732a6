-- host/net/send_batch.c: many sockets written to at once, with an io_uring and without.
-- spec/support/send_batch.c compares what comes.
local binary = require("spec.support").binary
local process = require "spec.support.process"

local program = process.quote(binary:match("^(.*)/[^/]+$") .. "/spec/send_batch")

local function run(what) return (process.sh(program .. " " .. what)) end

-- Where the machine itself forbids io_uring there is nothing to compare with.
local function has_ring()
  local file = io.open "/proc/sys/kernel/io_uring_disabled"
  local value = file and file:read "n" or 0
  if file then file:close() end
  return value == 0
end

describe("a batch of sends", function()
  it("is one submission to an io_uring, and says of each what it took", function()
    if not has_ring() then return pending "io_uring is turned off on this machine" end
    assert.equal("ok\n", run "ring")
  end)

  it("is sent one by one where io_uring is forbidden", function() assert.equal("ok\n", run "forbidden") end)

  it("goes on one by one where it is forbidden later", function()
    if not has_ring() then return pending "io_uring is turned off on this machine" end
    assert.equal("ok\n", run "later")
  end)

  it("makes no ring for a few", function() assert.equal("ok\n", run "few") end)
end)
