-- Long replies become values in steps between which other tasks run.
local ml = require "moonloop"
local redis = require "spec.support.redis"
local tasks = require "spec.support.tasks"

local in_steps = tasks.in_steps
local COUNT <const> = 60000

local function lists(count) return ("*%d\r\n"):format(count) .. ("*1\r\n:1\r\n"):rep(count) end

-- Names with lists in lists as values, as RESP2 has it.
local function names(count)
  local lines = { ("*%d\r\n"):format(2 * count) }
  for i = 1, count do lines[#lines + 1] = ("+%d\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"):format(i) end
  return table.concat(lines)
end

-- Calls f with a client of a server that answers each command with the text at its name, or +OK.
local function with_replies(replies, f)
  local server <close> = redis.fake(function(conn)
    while true do
      local command = redis.read_command(conn)
      if not command or not conn:send(replies[command[1]] or "+OK\r\n") then return end
    end
  end)
  local client <close> = ml.redis.client(server.url)
  assert.equal("OK", client:set("a", "b"))
  return f(client)
end

describe("a long reply", function()
  it("lets others run while it becomes lists, or a map", function()
    with_replies({ MGET = lists(COUNT), HGETALL = names(16000) }, function(client)
      local list = in_steps(client.mget, client, "a")
      assert.same({ COUNT, 1, 1 }, { #list, #list[COUNT], list[COUNT][1] })
      local map = in_steps(client.hgetall, client, "a")
      assert.same({ { { { 1 } } } }, map["16000"])
      assert.is_nil(map["16001"])
    end)
  end)

  it("lets others run while it is that of a pipeline", function()
    with_replies({ MGET = lists(COUNT // 3), HGETALL = names(5) }, function(client)
      local list = in_steps(client.pipeline, client, function(p)
        p:mget "a"
        p:hgetall "a"
        p:mget "a"
        p:get "a"
        p:mget "a"
      end)
      assert.same({ 5, COUNT // 3, COUNT // 3, "OK" }, { list.n, #list[1], #list[5], list[4] })
      assert.same({ { { { 1 } } } }, list[2]["5"])
    end)
  end)

  it("lets others run while it is that of a transaction", function()
    local exec = "*3\r\n" .. lists(COUNT) .. names(5) .. names(5)
    with_replies({ EXEC = exec }, function(client)
      local list = in_steps(client.multi, client, function(m)
        m:mget "a"
        m:hgetall "a"
        m:lrange("a", 0, -1)
      end)
      assert.same({ 3, COUNT, 10 }, { list.n, #list[1], #list[3] })
      assert.same({ { { { 1 } } } }, list[2]["5"])
    end)
  end)

  it("is read beside other commands of its connection", function()
    with_replies({ MGET = lists(COUNT) }, function(client)
      local order = {}
      local long = tasks.started(function()
        local list = client:mget "a"
        order[#order + 1] = #list
      end)
      assert.equal("OK", client:get "a") -- answered behind it
      order[#order + 1] = "get"
      long:await()
      assert.same({ "get", COUNT }, order)
    end)
  end)

  it("is dropped when its task is cancelled, and its connection goes on", function()
    with_replies({ MGET = lists(COUNT) }, function(client)
      local long = tasks.half_made(client.mget, client, "a")
      long:cancel()
      local ok, err = tasks.await(long)
      assert(not ok and ml.is_error(err, "cancelled"))
      assert.equal("OK", client:get "a")
      assert.equal(COUNT, #client:mget "a")
    end)
  end)

  it("is nil and an error where it is one", function()
    local text = ("x"):rep(70000)
    with_replies({ GET = ("!%d\r\nERR %s\r\n"):format(#text + 4, text) }, function(client)
      local value, err = client:get "a"
      assert.same({ nil, "redis", "ERR" }, { value, err.kind, err.code })
    end)
  end)
end)
