-- `moonloop serve --workers` with a worker that was taken over: what it says and writes keeps the supervisor from
-- nothing.
local common = require "spec.support.servers"
local left = require "spec.support.left"
local ml = require "moonloop"
local served = require "spec.support.served"
local support = require "spec.support"
local web = require "spec.support.web"

local APP = ([[
  package.cpath = "%s/spec/?.so;" .. package.cpath
  local call = require "system_call"
  local ml = require "moonloop"
  local app = ml.web.app()
  local CONTROL, METRICS, HEAD, REGION = 3, 6, 4096, 16 << 20
  local pid = io.open("/proc/self/stat"):read "n"
  app:get("/", function() return { pid = pid, metrics = #ml.metrics.text() > 0 } end)
  ml.metrics.counter("spec_honest", "Honest."):inc()

  -- A process that goes on to write where the worker did.
  app:get("/flood", function() return { pid = io.popen("yes >&2 & echo $!"):read "n" } end)

  -- As many metrics as there is room for, in all regions that may be read; and the base is being written for ever.
  app:get("/spoil", function()
    local records, n = {}, (REGION - 32) // 32
    for i = 1, n do
      records[i] = string.pack("<I4I4I1I1I1I1I4c16", 32, 1, 0, 0, 0, 0, 16, ("m%%d\0"):format(i))
    end
    local region = string.pack("<I8I8I8I8", 0x3163697274656d6c, REGION, 0, 0) .. table.concat(records)
    for place = 1, 3 do assert(call("pwrite64", METRICS, region, #region, HEAD + place * REGION) > 0) end
    assert(call("pwrite64", METRICS, string.pack("<I8I4", 1, 1025), 12, 0) == 12)
    return { n = n }
  end)

  if first then assert(call("write", CONTROL, "ready inf\n", 10) == 10) end
  return app
]]):format((support.binary:match "^(.*)/"))

local function pid_of(server) return ml.json.decode(server:get "/".body).pid end

-- The answer of another process than these.
local function other_than(server, pids)
  return served.wait_until("there is no other worker", function()
    local ok, pid = pcall(pid_of, server)
    return ok and not pids[pid] and pid
  end)
end

describe("a worker that was taken over", function()
  it("is killed when it says that it needs for ever to end, at a reload and at the end", function()
    local folder = { ["app.lua"] = "first = not io.open 'again'; " .. APP }
    local server <close> = served.start(folder, "--workers 1 --drain 1 --kill-after 1")
    local liar = pid_of(server)
    server:kill("STOP", liar)
    server:write("again", "")
    server:kill "HUP"
    local second = other_than(server, { [liar] = true })
    served.wait_until("it is not killed", function() return not left.is_alive(liar) end)
    assert(os.remove(server.path .. "/again"))
    server:kill "HUP"
    local third = other_than(server, { [second] = true })
    server:kill("STOP", third)
    server:kill "TERM"
    server:finish()
    assert.equal(2, select(2, server.process:all_errors():gsub("does not end: it is killed", "")))
  end)

  it("holds nobody up with what it leaves behind, which writes where it did", function()
    local server <close> = served.start({ ["app.lua"] = APP }, "--workers 1")
    local pid = pid_of(server)
    local flood = ml.json.decode(server:get "/flood".body).pid
    server:kill("KILL", pid)
    other_than(server, { [pid] = true })
    served.wait_until("it still writes", function() return not left.is_alive(flood) end)
    server:kill "TERM"
    assert.equal(0, (server:finish()))
  end)

  it("keeps the supervisor from nothing with more metrics than anybody could want to read", function()
    local port = common.free_port()
    local server <close> = served.start({ ["app.lua"] = APP }, "--workers 2 --metrics 127.0.0.1:" .. port)
    local function metrics()
      return assert(web.ask(port, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")).body
    end
    server:get "/spoil"
    local _, count = metrics():gsub("\n", "")
    assert.is_true(count < 10000)
    pid_of(server) -- which reads all metrics, too
    server:kill "HUP"
    server:wait_for "reloaded"
    served.wait_until("the old ones are not gone", function() return not server:ps():find "generation 1," end)
    -- What the others count has room again.
    served.wait_until("nothing is counted", function() return metrics():find "spec_honest_total 2\n" end)
    server:kill "TERM"
    assert.equal(0, (server:finish()))
  end)
end)
