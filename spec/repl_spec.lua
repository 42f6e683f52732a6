-- The prompt: with input from a pipe, and on a terminal.
local binary = require("spec.support").binary
local Screen = require "spec.support.screen"

local CTRL_A, CTRL_C, CTRL_D, CTRL_E, CTRL_K, TAB, UP, ENTER = "\1", "\3", "\4", "\5", "\11", "\t", "\27[A", "\r"

local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir " .. folder)

-- Runs the prompt with `input` on a pipe; returns output and errors together, and the status.
local function pipe(input)
  local file = assert(io.open(folder .. "/input", "w"))
  file:write(input)
  file:close()
  local run = assert(io.popen(("cat '%s/input' | '%s' repl 2>&1"):format(folder, binary)))
  local output = run:read("a")
  local _, _, status = run:close()
  return output, status
end

describe("the prompt with a pipe", function()
  it("prints results and nothing else", function()
    local output, status = pipe "1 + 1\nx = 5\nx\nnil\n'a', nil, 2.0\n"
    assert.equal('2\n5\nnil\n"a"\tnil\t2.0\n', output)
    assert.equal(0, status)
  end)

  it("takes an input of many lines", function()
    assert.equal("1\n2\n", (pipe "for i = 1, 2 do\n  print(i)\nend\n"))
    assert.equal("3\n", (pipe "1 +\n2"))
    assert.equal("2\n", (pipe "(function()\nreturn 2\nend)()\n"))
  end)

  it("prints errors with their traceback, goes on, and exits 1", function()
    local output, status = pipe "local function f() error('boom') end f()\n1\n"
    assert.matches("^stdin:1: boom\nstack traceback:\n.*in local 'f'.*in main chunk\n1\n$", output)
    assert.equal(1, status)
    output, status = pipe "= 2\n"
    assert.matches("^stdin:1: unexpected symbol", output)
    assert.equal(1, status)
    output, status = pipe "x ="
    assert.matches("near <eof>\n$", output)
    assert.equal(1, status)
  end)

  it("waits in an input while other tasks run", function()
    assert.equal("bg\nfg\n", (pipe [[
      t = ml.spawn(function() ml.sleep(0.01) print("bg") end) _ = nil
      ml.sleep(0.05) print("fg")
    ]]):gsub("^task[^\n]*\n", ""))
  end)

  it("lets the tasks in the background end", function()
    assert.equal("late\n", (pipe "do ml.spawn(function() ml.sleep(0.05) print 'late' end) end"))
  end)

  it("exits with what os.exit is given", function()
    local output, status = pipe "os.exit(7)\nprint 'not reached'\n"
    assert.equal("", output)
    assert.equal(7, status)
  end)
end)

describe("values at the prompt", function()
  local show = require("moonloop.repl.show").value

  it("are shown with their types, strings quoted", function()
    assert.equal('"a\\n\\"é\\0"', (show('a\n"é\0'):gsub("x00", "0")))
    assert.equal('"\\xFF"', show("\xFF"))
    assert.equal("1", show(1))
    assert.equal("1.0", show(1.0))
    assert.matches("^function: 0x%x+ %(spec/repl_spec.lua:%d+%)$", show(function() end))
  end)

  it("are tables with their list first and their keys sorted", function()
    assert.equal('{1, 2, [true] = 3, [1.5] = 4, a = 5, ["b c"] = 6, ["end"] = 7}',
      show {1, 2, [1.5] = 4, [true] = 3, a = 5, ["b c"] = 6, ["end"] = 7})
    assert.equal("{}", show {})
  end)

  it("are tables of any depth, length and shape", function()
    local t = {}
    t.self = t
    assert.equal("{self = <cycle>}", show(t))
    assert.equal("{a = {b = {c = {d = {...}}}}}", show {a = {b = {c = {d = {e = 1}}}}})
    local shared = {1}
    assert.equal("{{1}, {1}}", show {shared, shared})
    local long = {}
    for i = 1, 150 do long[i] = i end
    assert.matches("^{\n  1, 2, 3, .* 100, %.%.%. 50 more\n}$", show(long))
  end)

  it("use __tostring, even one that fails", function()
    assert.equal("it", show(setmetatable({}, {__tostring = function() return "it" end})))
    assert.matches("__tostring failed: .*oops", show(setmetatable({}, {__tostring = function() error "oops" end})))
  end)
end)

describe("completion", function()
  local complete = require("moonloop.repl.complete").line

  it("finds globals, fields, methods and keywords", function()
    assert.equal("rmat", complete("string.fo", _G))
    assert.equal("ing", complete("x = str", _G))
    assert.equal("per", complete("s:up", {s = "text"}))
    assert.equal("ction", complete("local fun", {}))
    assert.equal("z", complete("a.b.", {a = {b = {z = 1}}}))
    assert.equal("z", complete("a.", {a = setmetatable({}, {__index = {z = 1}})}))
    assert.equal("l", complete("x .. m.va", {m = {val = 1}}))
  end)

  it("gives what several names have in common, and the names", function()
    local insert, names = complete("t.a", {t = {abc = 1, abd = 2, b = 3}})
    assert.equal("b", insert)
    assert.same({"abc", "abd"}, names)
  end)

  it("gives methods only after a colon", function()
    assert.equal("un", complete("t:r", {t = {run = print, rest = 1}}))
  end)

  it("runs no code and finds nothing where nothing is known", function()
    local t = setmetatable({}, {__index = function() error("called") end})
    for _, line in ipairs {"t.x", "t.x.y", "f().x", "nosuch.", "1.", "", "  ", "x = ", "t:", "0x"} do
      assert.is_nil((complete(line, {t = t})), line)
    end
  end)
end)

describe("the prompt on a terminal", function()
  local screen

  local function open(columns)
    screen = Screen.open(columns or 60, "/usr/bin/env", "XDG_STATE_HOME=" .. folder .. "/state", binary)
    screen:expect("\n>")
  end

  after_each(function()
    screen:close()
    os.execute("rm -rf " .. folder .. "/state")
  end)

  it("evaluates, edits and leaves with Ctrl-D", function()
    open()
    screen:type("1 + 2" .. ENTER)
    screen:expect("\n> 1 + 2\n3\n>")
    screen:type("24" .. CTRL_A .. "1" .. CTRL_E .. "5é" .. "\127" .. ENTER)
    screen:expect("\n> 1245\n1245\n>")
    screen:type("'é'" .. ENTER)
    screen:expect("\n> 'é'\n\"é\"\n>")
    screen:type(CTRL_D)
    assert.equal(0, screen:finish())
  end)

  it("asks for the rest of an input", function()
    open()
    screen:type("for i = 1, 2 do" .. ENTER)
    screen:expect("\n>>")
    screen:type("print(i)" .. ENTER .. "end" .. ENTER)
    screen:expect("\n>> end\n1\n2\n>")
  end)

  it("prints from the background without spoiling the line", function()
    open(40)
    screen:type("function bg(s) ml.spawn(function()" .. ENTER)
    screen:expect("\n>>")
    screen:type("while not go do ml.sleep(0.01) end go = nil print(s) end) end" .. ENTER)
    screen:expect("\n>")
    screen:type("bg 'one line'; ml.spawn(function() ml.sleep(0.3) go = true end)" .. ENTER)
    screen:expect("\n>")
    screen:type("half a li")
    screen:expect("\none line\n> half a li")
    screen:type("ne")
    screen:expect("\none line\n> half a line")
    -- a line that is longer than the screen is wide, with the cursor in its middle
    screen:type(CTRL_C)
    screen:expect("\n> half a line^C\n>")
    screen:type("bg('again') ml.spawn(function() ml.sleep(0.5) go = true end)" .. ENTER)
    screen:expect("\n>")
    local long = ("0123456789"):rep(9)
    screen:type(long .. CTRL_A)
    screen:expect("\nagain\n> " .. long:sub(1, 38) .. "\n" .. long:sub(39, 78) .. "\n" .. long:sub(79))
    screen:type("x" .. CTRL_E .. "y")
    screen:expect("\nagain\n> x" .. long:sub(1, 37) .. "\n" .. long:sub(38, 77) .. "\n" .. long:sub(78) .. "y")
  end)

  it("goes on with a line of output that was left open", function()
    open()
    screen:type("do ml.spawn(function() for i = 1, 3 do ml.sleep(0.1) io.write(i, ' ') io.flush() end print() end) end")
    screen:type(ENTER .. "typed")
    screen:expect("\n1 2 3\n> typed")
  end)

  it("reports failures in the background above the line", function()
    open()
    screen:type("do ml.spawn(error, 'lost') end" .. ENTER .. "typed")
    screen:expect("spawned at stdin:1\n> typed")
    assert.matches("nobody awaited it: lost", screen:text())
  end)

  it("cancels the running input with Ctrl-C, and its children", function()
    open()
    screen:type("ml.spawn(function() local _ <close> = setmetatable({}, {__close = function() print 'child' end}) " ..
      "print 'up' ml.sleep(100) end) ml.sleep(100)" .. ENTER)
    screen:expect("\nup")
    screen:type(CTRL_C)
    screen:expect("child\ncancelled\n>")
    screen:type("'alive'" .. ENTER)
    screen:expect("\"alive\"\n>")
  end)

  it("cancels an input that computes without end", function()
    open()
    screen:type("print 'on' while true do end" .. ENTER)
    screen:expect("\non")
    screen:type(CTRL_C)
    screen:expect("cancelled\n>")
    screen:type("print 'on' while true do pcall(string.rep, 'x', 10) end" .. ENTER)
    screen:expect("\non")
    screen:type(CTRL_C)
    screen:expect("cancelled\n>")
  end)

  it("gives up a half-typed line, and a half-typed input", function()
    open()
    screen:type("half")
    screen:expect("> half")
    screen:type(CTRL_C)
    screen:expect("\n> half^C\n>")
    screen:type("x = {" .. ENTER)
    screen:expect("\n>>")
    screen:type(CTRL_C)
    screen:expect("\n>> ^C\n>")
    screen:type("5" .. ENTER)
    screen:expect("\n5\n>")
  end)

  it("completes names with TAB", function()
    open()
    screen:type("string.fo" .. TAB)
    screen:expect("> string.format")
    screen:type("('%d', 3)" .. ENTER)
    screen:expect("\n\"3\"\n>")
    screen:type("ml.ga" .. TAB)
    screen:expect("> ml.gather")
    screen:type(CTRL_C)
    screen:expect("^C\n>")
    screen:type("t = {alpha = 1, alto = 2}" .. ENTER)
    screen:expect("2}\n>")
    screen:type("t.a" .. TAB)
    screen:expect("> t.al")
    screen:type(TAB .. TAB)
    screen:expect("\nalpha  alto\n> t.al")
  end)

  it("completes a name over the end of a row", function()
    open(40)
    screen:type("'above'" .. ENTER)
    screen:expect("\n\"above\"\n>")
    local line = ("x"):rep(25) .. " = string.fo"
    screen:type(line .. TAB)
    screen:expect("\n\"above\"\n> " .. line .. "r\nmat")
  end)

  it("keeps its history", function()
    open()
    screen:type("first = 1" .. ENTER)
    screen:expect("1\n>")
    screen:type("second = 2" .. ENTER)
    screen:expect("2\n>")
    screen:type(UP .. UP)
    screen:expect("> first = 1")
    screen:type(CTRL_C)
    screen:expect("^C\n>")
    screen:type(CTRL_D)
    assert.equal(0, screen:finish())
    screen:close()
    open()
    screen:type(UP)
    screen:expect("> second = 2")
    screen:type(CTRL_A .. CTRL_K .. "3" .. ENTER)
    screen:expect("\n3\n>")
  end)

  it("works where no history can be kept", function()
    screen = Screen.open(60, "/usr/bin/env", "XDG_STATE_HOME=/proc/nowhere", binary, "repl")
    screen:expect("\n>")
    screen:type("1" .. ENTER)
    screen:expect("\n1\n>")
  end)

  it("draws the line again when the terminal's width changes", function()
    open(60)
    screen:type("wide")
    screen:expect("> wide")
    screen.pty:resize(30, 50)
    screen:type("r" .. ENTER)
    screen:expect("nil\n>")
  end)

  it("cancels the tasks in the background when it is left", function()
    open()
    screen:type("do ml.spawn(function() local _ <close> = setmetatable({}, " ..
      "{__close = function() print 'cleaned up' end}) ml.sleep(100) end) end" .. ENTER .. "'ready'" .. ENTER)
    screen:expect("\"ready\"\n>")
    screen:type(CTRL_D)
    assert.equal(0, screen:finish())
    assert.matches("cleaned up$", screen:text())
  end)

  it("ends in order at SIGTERM, and exits with what os.exit is given", function()
    open()
    screen.pty:kill(15)
    assert.equal(143, screen:finish())
    screen:close()
    open()
    screen:type("os.exit(7)" .. ENTER)
    assert.equal(7, screen:finish())
  end)
end)
