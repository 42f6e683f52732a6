-- Streams: reading in the formats of io, writing that waits, time limits, cancels, ends.
local ml = require "moonloop"
local pairs_of = require "spec.support.pairs"
local support = require "spec.support"

local with = pairs_of.with

local LONG = 16 * 1024 * 1024 -- more than the system takes for a peer that does not read

--- What `f` raises.
local function raised(f, ...)
  local ok, err = ml.catch(f, ...)
  assert.is_false(ok)
  return err
end

--- Waits until `task` waits for something.
local function wait_for(task)
  for _ = 1, 100000 do
    if task:status() ~= "suspended" and task:status() ~= "pending" then return end
    for _, entry in ipairs(ml.tasks()) do
      if entry.id == task.id and entry.waiting_for then return entry.waiting_for end
    end
    ml.sleep(0)
  end
  error "the task does not wait"
end

describe("a stream", function()
  it("is read by the formats of io", with(function(a, b)
    a:write("one\ntwo\r\n", 3, "\n", 4.5, "\n12345rest")
    a:shutdown()
    assert.equal("one", b:read())
    assert.equal("two\r\n", b:read "L")
    assert.same({ "3", "4.5\n", "12", "345" }, { b:read("l", "L", 2, 3) })
    assert.equal("", b:read(0))
    assert.equal("rest", b:read "a")
    assert.same({ "", n = 1 }, table.pack(b:read "a"))
    assert.same({ n = 1 }, table.pack(b:read "l"))
    assert.same({ n = 1 }, table.pack(b:read(5)))
    assert.same({ n = 1 }, table.pack(b:read(0)))
    assert.same({ n = 1 }, table.pack(b:read_some()))
    assert.same({ n = 1 }, table.pack(b:read_until "x"))
  end))

  it("is read like a file, whatever the pieces it comes in", function()
    local text = "one\n\ntwo\n" .. ("x"):rep(3000) .. "\nlast"
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w+"))
    file:write(text)
    local reads = { { "l", "L" }, { 3 }, { "l", 0, "L" }, { 2900, "l" }, { "l", "l" }, { "a", "a", "l" } }
    for _, size in ipairs { 1, 2, 7, 1000, #text } do
      file:seek "set"
      with(function(a, b)
        ml.spawn(function()
          for at = 1, #text, size do
            a:write(text:sub(at, at + size - 1))
            ml.sleep(0)
          end
          a:shutdown()
        end)
        for _, formats in ipairs(reads) do
          local expected = table.pack(file:read(table.unpack(formats)))
          assert.same(expected, table.pack(b:read(table.unpack(formats))))
        end
      end)()
    end
    os.remove(path)
  end)

  it("refuses formats that it does not have", with(function(_, b)
    assert.matches("the format \"n\" is not one of streams", raised(b.read, b, "n"))
    assert.matches("invalid format", raised(b.read, b, "x"))
    assert.matches("cannot be negative", raised(b.read, b, -1))
    assert.matches("the delimiter is empty", raised(b.read_until, b, ""))
    assert.matches("not positive", raised(b.read_some, b, 0))
    assert.matches("string expected, got table", raised(b.write, b, {}))
  end))

  it("gives what is there", with(function(a, b)
    a:write "hello"
    assert.equal("hel", b:read_some(3))
    assert.equal("lo", b:read_some())
    local task = ml.spawn(function() return b:read_some() end)
    wait_for(task)
    a:write "x"
    assert.equal("x", task:await())
  end))

  it("is read up to a delimiter, which may come in pieces", with(function(a, b)
    ml.spawn(function()
      for piece in ("ab\r\r\n\r\r\n\r\nrest"):gmatch "." do
        a:write(piece)
        ml.sleep(0)
      end
      a:shutdown()
    end)
    assert.equal("ab\r\r\n\r\r\n\r\n", b:read_until "\r\n\r\n")
    assert.equal("rest", b:read_until "\r\n\r\n")
    assert.is_nil(b:read_until "\r\n\r\n")
  end))

  it("has limits for lines and delimiters, and loses nothing by them", with(function(a, b)
    b.max_line = 10
    a:write("0123456789\n0123456789x\n")
    assert.equal("0123456789", b:read())
    local text, err = b:read()
    assert.is_nil(text)
    assert.equal("limit", err.kind)
    assert.matches("a line of more than 10 bytes", err.message)
    text, err = b:read_until("x", 5)
    assert.is_nil(text)
    assert.equal("limit", err.kind)
    assert.equal("limit", raised(b:lines()).kind)
    assert.equal("0123456789x", b:read(11))
    assert.equal(10, b.max_line)
  end))

  it("iterates over lines and pieces", with(function(a, b)
    a:write "a\nb\ncdefg"
    a:shutdown()
    local list = {}
    for line in b:lines() do
      list[#list + 1] = line
      if line == "b" then break end
    end
    for piece in b:lines(2) do list[#list + 1] = piece end
    assert.same({ "a", "b", "cd", "ef", "g" }, list)
  end))

  it("has its fields, and no others", with(function(a)
    assert.is_nil(a.timeout)
    assert.equal(65536, a.max_line)
    assert.matches("unknown field 'time_out' of a stream %(did you mean 'timeout'%?%)",
      raised(function() a.time_out = 1 end))
    assert.matches("stream_spec.lua:%d+: field 'timeout' of a stream is x %(expected a number of seconds, or nil%)",
      raised(function() a.timeout = "x" end))
    assert.matches("field 'timeout' of a stream is %-1 ", raised(function() a.timeout = -1 end))
    assert.matches("field 'max_line' of a stream is 0 %(expected a positive number of bytes%)",
      raised(function() a.max_line = 0 end))
    assert.is_nil(a.nothing)
  end))

  it("is passed whole when it is written faster than it is read", with(function(a, b)
    local text = support.xs(LONG) .. "end"
    local task = ml.spawn(function() return a:write(text) == a, a:write "more" == a, a:shutdown() end)
    assert.matches("^room to write to the connection to 127", wait_for(task))
    assert.equal(text, b:read(#text))
    assert.equal("more", b:read "a")
    assert.is_true(task:await())
  end))

  it("is written by several tasks in the order of their calls", with(function(a, b)
    local text = support.xs(LONG)
    local tasks = {}
    for i = 1, 3 do tasks[i] = ml.spawn(function() return a:write(text, i, "\n") == a end) end
    for i = 1, 3 do
      assert.equal(#text, #b:read(#text))
      assert.equal(tostring(i), b:read())
    end
    for i = 1, 3 do assert.is_true(tasks[i]:await()) end
  end))

  it("is read by one task at a time, and the error names the first", with(function(_, b)
    local task = ml.spawn(function() return b:read() end)
    assert.matches("^a line from the connection", wait_for(task))
    assert.matches("stream:read: task %d+, spawned at .* is already reading from the connection to 127",
      raised(b.read_some, b))
    task:cancel()
    ml.catch(task.await, task)
    local other = ml.spawn(function() return b:read() end)
    wait_for(other)
    other:cancel()
  end))
end)

describe("a cancelled read of a stream", function()
  it("loses nothing", with(function(a, b)
    for _, formats in ipairs { { "l" }, { 10 }, { "a" }, { 2, 2, "l" }, { "l", "l" } } do
      local task = ml.spawn(function() return b:read(table.unpack(formats)) end)
      wait_for(task)
      a:write "abcd"
      for _ = 1, 3 do ml.sleep(0) end
      task:cancel()
      ml.catch(task.await, task)
      assert.equal("abcd", b:read(4))
    end
    local task = ml.spawn(function() return b:read_until "x" end)
    wait_for(task)
    a:write "abc"
    ml.sleep(0)
    task:cancel()
    ml.catch(task.await, task)
    a:write "x"
    assert.equal("abcx", b:read_until "x")
  end))
end)

describe("a cancelled write of a stream", function()
  it("says how much was written, and closes the stream where a piece was cut", with(function(a, b)
    local text = support.xs(LONG)
    local err
    local task = ml.spawn(function()
      local _
      _, err = ml.catch(a.write, a, text)
    end)
    wait_for(task)
    task:cancel "enough"
    ml.catch(task.await, task)
    assert.equal("enough", err.reason)
    assert(err.written > 0 and err.written < #text, err.written)
    assert.equal("closed", select(2, a:write "x").kind)
    local rest, failure = b:read "a" -- the other side does not take it for an end
    assert.is_nil(rest)
    assert.equal("ECONNRESET", failure.code)
  end))

  it("leaves the line, and the stream alone, if it has not begun", with(function(a, b)
    local text = support.xs(LONG)
    local first = ml.spawn(function() return a:write(text) == a end)
    wait_for(first)
    local err
    local second = ml.spawn(function()
      local _
      _, err = ml.catch(a.write, a, "never")
    end)
    wait_for(second)
    local third = ml.spawn(function() return a:write "!" == a end)
    wait_for(third)
    second:cancel()
    ml.catch(second.await, second)
    assert.equal(0, err.written)
    assert.equal(#text, #b:read(#text))
    assert.equal("!", b:read(1))
    assert.is_true(first:await() and third:await())
  end))
end)

describe("the timeout of a stream", function()
  it("ends a read, which can be repeated", with(function(a, b)
    b.timeout = 0.01
    a:write "ab"
    assert.equal("a", b:read(1))
    local text, err = b:read()
    assert.is_nil(text)
    assert.equal("timeout", err.kind)
    assert.matches("nothing has happened for 0.01 s", err.message)
    b.timeout = nil
    a:write "c\n"
    assert.equal("bc", b:read())
  end))

  it("ends a write, and the stream", with(function(a)
    a.timeout = 0.01
    local text = support.xs(LONG)
    local other = ml.spawn(function() return a:write(text) end)
    local result, err, written = a:write "x"
    while result do result, err, written = a:write(text) end
    ml.catch(other.await, other)
    assert(err.kind == "timeout" or err.kind == "closed", err)
    assert.equal(written, err.written)
    assert.equal("closed", select(2, a:write "x").kind)
  end))
end)

describe("a stream that is closed", function()
  it("wakes those who wait for it", with(function(a)
    local text = support.xs(LONG)
    local reader = ml.spawn(function() return select(2, a:read()) end)
    local writer = ml.spawn(function()
      local _, err, written = a:write(text)
      return { err = err, written = written }
    end)
    local second = ml.spawn(function() return select(2, a:write(text)) end)
    wait_for(reader)
    wait_for(writer)
    wait_for(second)
    a:close()
    assert.equal("closed", reader:await().kind)
    assert.equal("closed", second:await().kind)
    local result = writer:await()
    assert.equal("closed", result.err.kind)
    assert(result.written > 0 and result.written < #text)
    assert.equal(result.written, result.err.written)
    a:close()
    assert.equal("closed", select(2, a:read()).kind)
    assert.equal("closed", select(2, a:shutdown()).kind)
    assert.matches("is closed", raised(a:lines()).message)
  end))

  it("gives an end to the other side, and later an error to who writes there", with(function(a, b)
    a:close()
    assert.is_nil(b:read())
    local result, err = b:write "x"
    while result do
      ml.sleep(0)
      result, err = b:write "x"
    end
    assert.equal("network", err.kind)
    assert.matches("^E", err.code)
    assert.matches("writing to the connection to 127", err.message)
  end))

  it("was closed by the collector, if nobody else did it", function()
    local b = select(2, pairs_of.new())
    local reports <close> = support.keep_reports()
    local task = ml.spawn(function() return b:read() end)
    while task:status() ~= "done" do
      collectgarbage()
      ml.sleep(0)
    end
    assert(reports:text() == "" or reports:text():find("was not closed before it was collected", 1, true))
    b:close()
  end)
end)

describe("a stream whose writing side has ended", function()
  it("is still read, and written no more", with(function(a, b)
    assert.equal(a, a:shutdown())
    assert.equal(a, a:shutdown())
    assert.is_nil(b:read())
    b:write "answer\n"
    assert.equal("answer", a:read())
    assert.equal("EPIPE", select(2, a:write "x").code)
  end))

  it("has no write that waits", with(function(a)
    local text = support.xs(LONG)
    local task = ml.spawn(function() return a:write(text) end)
    wait_for(task)
    assert.matches("another task is writing", raised(a.shutdown, a))
    a:close()
    task:await()
  end))
end)

it("two tasks pass a thousand lines through a stream both ways", with(function(a, b)
  ml.spawn(function()
    for line in b:lines() do b:write(line, "!\n") end
    b:close()
  end)
  ml.spawn(function()
    for i = 1, 1000 do a:write(i, "\n") end
    a:shutdown()
  end)
  local n = 0
  for line in a:lines() do
    n = n + 1
    assert.equal(n .. "!", line)
  end
  assert.equal(1000, n)
end))

it("streams work in jobs of executors", function()
  local call = ml.executor.run(function()
    local pairs_here = require "spec.support.pairs"
    local a, b = pairs_here.new()
    a:write "hello\n"
    local line = b:read()
    a:close()
    b:close()
    return line
  end)
  assert.equal("hello", call)
end)
