-- Signals that end a process while a C function keeps the loop from noticing them.
local common = require "spec.support"
local folders = require "spec.support.folder"
local processes = require "spec.support.process"
local pty = require "pty"

local SIGTERM = 15

-- A search that takes minutes, in C.
local BLOCKING = 'print("beg" .. "un") io.stdout:flush() local x = ("x"):rep(1000):rep(2000); '
  .. '(x .. x):find(x .. "y", 1, true)'

-- The same where a signal may come before C has begun: it goes on.
local AGAIN = "while true do ml.catch(function() " .. BLOCKING .. " end) end"

-- Reads from the terminal until the text matches.
local function read_until(terminal, pattern)
  local text = ""
  for _ = 1, 1000 do
    text = text .. (terminal:read(0.1) or error("it has ended: " .. text))
    if text:find(pattern) then return text end
  end
  error(("'%s' is not in what it printed: %s"):format(pattern, text))
end

-- A prompt that a C function blocks.
local function blocked_prompt(code)
  local terminal = pty.open(80, 50, common.binary, "repl", "--block-limit", "0")
  read_until(terminal, "\n> ")
  terminal:write((code or BLOCKING) .. "\r")
  read_until(terminal, "begun")
  return terminal
end

describe("a prompt that a C function blocks", function()
  it("ends at the second Ctrl-C within two seconds", function()
    local terminal <close> = blocked_prompt(AGAIN)
    local status
    for _ = 1, 50 do -- two that come at once may be one signal
      pcall(terminal.write, terminal, "\3")
      status = terminal:wait(0.2)
      if status then break end
    end
    assert.equal(130, status)
  end)

  it("ends at the second Ctrl-C if the function was called in the background", function()
    local terminal <close> = pty.open(80, 50, common.binary, "repl", "--block-limit", "0")
    read_until(terminal, "\n> ")
    terminal:write("do local ml = ml ml.spawn(function() ml.sleep(0.01) " .. AGAIN .. " end) end\r")
    read_until(terminal, "begun")
    local status
    for _ = 1, 50 do
      pcall(terminal.write, terminal, "\3")
      status = terminal:wait(0.2)
      if status then break end
    end
    assert.equal(130, status)
  end)

  it("ends at SIGTERM", function()
    local terminal <close> = blocked_prompt()
    terminal:kill(SIGTERM)
    assert.equal(143, terminal:wait(100))
  end)
end)

describe("a prompt", function()
  it("does not end at a second Ctrl-C if the first led back to it", function()
    local terminal <close> = blocked_prompt('print("beg" .. "un") ml.sleep(1000)')
    for _ = 1, 3 do
      terminal:write "\3"
      read_until(terminal, "\n> ")
    end
    terminal:write "print('al' .. 'ive')\r"
    read_until(terminal, "alive")
    terminal:write 'print("ag" .. "ain") ml.sleep(1000)\r' -- begun within two seconds of a Ctrl-C
    read_until(terminal, "again")
    terminal:write "\3"
    read_until(terminal, "cancelled\r\n> ")
  end)

  it("ends at the second SIGTERM if an input catches cancels for ever", function()
    local terminal <close> = blocked_prompt('print("beg" .. "un") while true do ml.catch(ml.sleep, 1) end')
    local status
    for _ = 1, 50 do
      terminal:kill(SIGTERM)
      status = terminal:wait(0.2)
      if status then break end
    end
    assert.equal(143, status)
  end)
end)

describe("SIGTERM", function()
  it("ends a script that a C function blocks", function()
    local script <close> = folders.file(BLOCKING)
    local process <close> = processes.start("run --block-limit 0 " .. script.path)
    assert.equal("begun", process:line())
    process:kill "TERM"
    local _, status = process:wait()
    assert.equal(143, status)
  end)

  it("and SIGINT end a script that is still being read, at once", function()
    for signal, number in pairs { TERM = 15, INT = 2 } do
      local folder <close> = folders.new {}
      local fifo = folder.path .. "/script"
      assert(os.execute("mkfifo " .. fifo))
      local process <close> = processes.start("run " .. fifo)
      local writer = assert(io.open(fifo, "w")) -- it has opened the file, and waits for the text
      process:kill(signal)
      local _, status = process:wait()
      writer:close()
      assert.equal(number, status) -- of the signal itself
    end
  end)

  it("gives a script that has received it all the time it needs to clean up", function()
    local script <close> = folders.file [[
      local ml = require "moonloop"
      local _ <close> = setmetatable({}, { __close = function()
        ml.shield(ml.sleep, 2.5)
        print "cleaned up"
      end })
      print "ready" io.stdout:flush()
      ml.sleep(1000)]]
    local process <close> = processes.start("run " .. script.path)
    assert.equal("ready", process:line())
    process:kill "TERM"
    local output, status = process:wait()
    assert.equal("cleaned up\n", output)
    assert.equal(143, status)
  end)
end)
