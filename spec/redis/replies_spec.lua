-- What a server says becomes Lua values, wherever its bytes are cut.
local ml = require "moonloop"
local redis = require "spec.support.redis"

--- Calls f with a client of a server that answers every command with `reply`, given by `send`.
local function with_reply(reply, send, f)
  local server <close> = redis.fake(function(conn)
    while redis.read_command(conn) do
      if not send(conn, reply) then return end
    end
  end)
  local client <close> = ml.redis.client(server.url)
  return f(client, server)
end

local function at_once(conn, text) return conn:send(text) end

local function byte_by_byte(conn, text)
  for i = 1, #text do
    if not conn:send(text:sub(i, i)) then return false end
    ml.sleep(0)
  end
  return true
end

local function get(client) return client:get "k" end

local values = {
  { "a status", "+OK\r\n", "OK" },
  { "a text", "$5\r\nhello\r\n", "hello" },
  { "a text with line ends and zeros", "$8\r\n\r\n\0$-1\r\n\r\n", "\r\n\0$-1\r\n" },
  { "an empty text", "$0\r\n\r\n", "" },
  { "RESP2's null", "$-1\r\n", nil },
  { "RESP2's null list", "*-1\r\n", nil },
  { "null", "_\r\n", nil },
  { "the largest integer", ":9223372036854775807\r\n", math.maxinteger },
  { "the smallest integer", ":-9223372036854775808\r\n", math.mininteger },
  { "a double", ",1.5\r\n", 1.5 },
  { "a whole double", ",10\r\n", 10.0 },
  { "an infinite double", ",-inf\r\n", -math.huge },
  { "true", "#t\r\n", true },
  { "false", "#f\r\n", false },
  { "a number without limits", "(3492890328409238509324850943850943825024385\r\n",
    "3492890328409238509324850943850943825024385" },
  { "a text with a format", "=8\r\ntxt:some\r\n", "some" },
  { "a list", "*3\r\n:1\r\n$1\r\na\r\n*1\r\n+b\r\n", { 1, "a", { "b" } } },
  { "a set", "~2\r\n+a\r\n+b\r\n", { "a", "b" } },
  { "a map", "%2\r\n+a\r\n:1\r\n+b\r\n*0\r\n", { a = 1, b = {} } },
  { "a list with holes", "*3\r\n$-1\r\n+b\r\n_\r\n", { nil, "b", nil, n = 3 } },
  { "a value with attributes", "|1\r\n+ttl\r\n:3600\r\n+value\r\n", "value" },
  { "attributes inside of a list", "*2\r\n|1\r\n+x\r\n*2\r\n:1\r\n:2\r\n:7\r\n:8\r\n", { 7, 8 } },
  { "a reply behind a push", ">2\r\n+invalidate\r\n*0\r\n+OK\r\n", "OK" },
}

describe("a reply", function()
  for _, case in ipairs(values) do
    local name, reply, value = case[1], case[2], case[3]
    it("that is " .. name .. " is its value, in one piece and byte by byte", function()
      for _, send in ipairs { at_once, byte_by_byte } do
        with_reply(reply, send, function(client)
          local got, err = client:get "k"
          assert.is_nil(err)
          assert.same(value, got)
          assert.equal(math.type(value), math.type(got))
        end)
      end
    end)
  end

  it("that is an error is nil and an error object with the server's code", function()
    for _, reply in ipairs { "-WRONGTYPE Operation against a key\r\n",
      "!33\r\nWRONGTYPE Operation against a key\r\n" } do
      with_reply(reply, at_once, function(client)
        local value, err = client:get "k"
        assert.is_nil(value)
        assert.is_true(ml.is_error(err))
        assert.equal("redis", err.kind)
        assert.equal("WRONGTYPE", err.code)
        assert.equal("GET: WRONGTYPE Operation against a key", err.message)
      end)
    end
  end)

  it("that is an error inside of a list is an error object in its place", function()
    local list = with_reply("*2\r\n:1\r\n-ERR no\r\n", at_once, get)
    assert.equal(1, list[1])
    assert.equal("ERR", list[2].code)
  end)

  it("that is an empty list is one for JSON, too", function()
    assert.equal("[]", ml.json.encode(with_reply("*0\r\n", at_once, get)))
  end)

  it("of several megabytes arrives whole", function()
    local text = ("0123456789abcdef"):rep(1 << 18)
    assert.equal(text, with_reply(("$%d\r\n%s\r\n"):format(#text, text), at_once, get))
    local list = with_reply("*200000\r\n" .. ("$3\r\nabc\r\n"):rep(200000), at_once, get)
    assert.equal(200000, #list)
  end)

  for name, reply in pairs {
    ["of an unknown type"] = "HTTP/1.1 400 Bad Request\r\n",
    ["with an invalid integer"] = ":12a\r\n",
    ["with an integer of more than 64 bits"] = ":9223372036854775808\r\n",
    ["with a negative length"] = "$-2\r\n",
    ["with a string whose length is -0"] = "*1\r\n$-0\r\n\r\n",
    ["with a list whose length is -0"] = "*2\r\n*-0\r\n:1\r\n",
    ["with an enormous length"] = "$999999999999999999\r\n",
    ["with a string that is longer than its length"] = "$1\r\nabc\r\n",
    ["with an invalid boolean"] = "#x\r\n",
    ["with a lone line feed"] = "+OK\n",
    ["with a line of more than 64 kB"] = "+" .. ("x"):rep(70000),
    ["with a carriage return in a line"] = "+a\rb\r\n",
    ["that is nested too deeply"] = ("*1\r\n"):rep(40) .. ":1\r\n",
    ["that pushes inside of a list"] = "*1\r\n>1\r\n+x\r\n",
  } do
    it(name .. " ends the connection with an error that says so", function()
      with_reply(reply, at_once, function(client)
        local value, err = client:get "k"
        assert.is_nil(value)
        assert.equal("network", err.kind)
        assert.equal("EPROTO", err.code)
        assert(err.message:find("its reply is not valid Redis protocol", 1, true), err.message)
      end)
    end)
  end

  it("that nobody has asked for ends the connection, and answers no later command", function()
    with_reply("+first\r\n+second\r\n", at_once, function(client, server)
      assert.equal("first", client:get "k")
      assert.equal("first", client:get "k")
      assert.equal(2, server.connections)
    end)
  end)
end)

-- A server that is none of Redis, or has gone wrong, may answer anything that is a reply.
describe("a reply of another form than Redis gives", function()
  local function first(next_item, state, control, closer)
    local _ <close> = closer
    return next_item(state, control)
  end

  local calls = {
    ["r:scan"] = function(r) return first(r:scan()) end,
    ["r:subscribe"] = function(r) return first(r:subscribe "c") end,
    ["r:group"] = function(r) return first(r:group("s", "g", { consumer = "c" })) end,
    ["r:script"] = function(r)
      local value, err = r:script "return 1" {}
      if value == nil then error(err, 0) end
    end,
  }
  local list = "*2\r\n:1\r\n:2\r\n"
  for name, call in pairs(calls) do
    for _, reply in ipairs { ":5\r\n", "_\r\n", "#t\r\n", name ~= "r:subscribe" and list or nil } do
      it(("raises an error of ours from %s (%s)"):format(name, reply:sub(1, 2)), function()
        with_reply(reply, at_once, function(client)
          local ok, err = pcall(call, client)
          assert.is_false(ok)
          assert(ml.is_error(err), err)
          assert(err.code == "REPLY" or err.kind == "network", err.message)
        end)
      end)
    end
  end

  it("is no message for a subscriber", function()
    local server <close> = redis.fake(function(conn)
      redis.read_command(conn)
      conn:send "+PONG\r\n"
      redis.read_command(conn)
      conn:send ">3\r\n+subscribe\r\n+c\r\n:1\r\n"
      conn:send ":7\r\n_\r\n>3\r\n+message\r\n+c\r\n:5\r\n>2\r\n+message\r\n_\r\n>3\r\n+message\r\n+c\r\n+x\r\n"
      redis.read_command(conn)
    end)
    local client <close> = ml.redis.client(server.url)
    assert.same({ channel = "c", payload = "x" }, first(client:subscribe "c"))
  end)

  it("is an error of r:multi, also where names are null", function()
    local function replying(executed)
      return redis.answering(function(words)
        return words[1] == "EXEC" and executed or words[1] == "MULTI" and "+OK\r\n" or "+QUEUED\r\n"
      end)
    end
    local function hgetall(executed)
      local server <close> = redis.fake(replying(executed))
      local client <close> = ml.redis.client(server.url, { protocol = 2 })
      return client:multi(function(p) p:hgetall "k" end)
    end
    for _, executed in ipairs { "+2\r\n", ":2\r\n" } do
      assert.equal("REPLY", select(2, hgetall(executed)).code)
    end
    assert.same({ a = "b" }, hgetall("*1\r\n*4\r\n$-1\r\n:1\r\n+a\r\n+b\r\n")[1])
  end)

  it("is no value for a cache, which makes its own", function()
    with_reply("*1\r\n:1\r\n", at_once, function(client)
      assert.equal("made", client:cache { ttl = 5 }:get("k", function() return "made" end))
    end)
  end)
end)
