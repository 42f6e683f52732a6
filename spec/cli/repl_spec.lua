-- The prompt: with input from a pipe, and on a terminal.
local ml = require "moonloop"
local binary = require("spec.support").binary
local Screen = require "spec.support.screen"

local CTRL_A, CTRL_C, CTRL_D, CTRL_E, CTRL_G, CTRL_K, CTRL_R = "\1", "\3", "\4", "\5", "\7", "\11", "\18"
local TAB, UP, ENTER = "\t", "\27[A", "\r"

local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir " .. folder)

-- Runs the prompt with `input` on a pipe; returns output and errors together, and the status.
local function pipe(input)
  local file = assert(io.open(folder .. "/input", "w"))
  file:write(input)
  file:close()
  local run = assert(io.popen(("cat '%s/input' | '%s' repl --block-limit 0 2>&1"):format(folder, binary)))
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

  it("prints errors with their traceback, continues, and exits 1", function()
    local output, status = pipe "local function f() error('boom') end f()\n1\n"
    assert.matches("^input 1:1: boom\nstack traceback:\n.*in local 'f'.*in function <input 1:1>\n1\n$", output)
    assert.equal(1, status)
    output, status = pipe "= = 2\n"
    assert.matches("^input 1:1: unexpected symbol", output)
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

  it("calls the task of an input by its number, also while it runs", function()
    assert.equal('1\n"input 2"\n"input 3"\n', (pipe "1\nml.current().name\nml.tasks()[1].name\n"))
  end)

  it("lets the tasks in the background end", function()
    assert.equal("late\n", (pipe "do ml.spawn(function() ml.sleep(0.05) print 'late' end) end"))
  end)

  it("has the last value shown in _, and takes an expression after =", function()
    assert.equal("3\n6\nnil\n6\n7\n", (pipe "1 + 2\n_ * 2\nnil\n_\n= _ + 1\n"))
  end)

  it("keeps locals for later inputs, as one chunk would", function()
    assert.equal("5\n6\n12\n12\n", (pipe [[
local x = 5
x
local function double() x = x * 2 return x end x = x + 1
x
double()
x
]]))
    assert.equal("1\t2\t7\n3\tnil\n", (pipe [[
local a, b <const> = 1, 2 local c <const> = {7} if a then local inner = 1 end
a, b, c[1]
local a = a + 2 return a, inner
]]))
    assert.equal("12\n", (pipe "local s = [[end]] local n = 12 -- local z\nn"))
    assert.equal("8\n", (pipe "local n = 8\nml.executor.run(function() return n end)"))
    assert.equal("n\nnil\nnone\n", (pipe "local n = 1\n.locals\n.forget n\nn\n.locals\n"))
  end)

  it("says once that a local ends with its input, where it does", function()
    local output = pipe [[
local d <close> = setmetatable({}, {__close = function() print "closed" end})
local e <close> = nil
d
]]
    assert.equal("(the local 'd' ends with this input: later inputs do not see it)\nclosed\nnil\n", output)
    assert.equal("nil\n", (pipe "do goto done end local m = 1 ::done::\nm\n"):match "nil\n$")
  end)

  it("refuses input that is code only between other code", function()
    local output = pipe "local x = 1\nx end print 'inside' do\n"
    assert.matches("^input 2:1: ", output)
    assert.not_matches("\ninside\n", output)
  end)

  it("counts inputs, and shows them again", function()
    assert.matches("^1\ninput 2:1: second\n.*\ninput 3:1: third\n", (pipe "1\nerror 'second'\nerror 'third'\n"))
    assert.equal("1\nfor i = 1, 0 do\nend\nthere is no input 7\n1: 1\n2: for i = 1, 0 do\n    end\n",
      (pipe "1\nfor i = 1, 0 do\nend\n.input 2\n.input 7\n.input\n"))
    assert.matches("^input 2:1: unexpected symbol", (pipe "x = 1\n)\n"))
  end)

  it("explains itself, and refuses unknown commands", function()
    assert.matches("^Input runs once it is complete", (pipe ".help\n"))
    assert.equal("there is no command .nosuch: see .help\n", (pipe ".nosuch\n"))
    assert.equal("1\n", (pipe "1\n.exit\n2\n"))
    assert.matches("^Ctrl%-D, .exit or os.exit%(%) leaves\n7\n$", (pipe "exit\nexit = 7\nexit\n"))
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
    assert.equal('"\\xC2\\x9B31m é\\xE2\\x80\\xAE\\xE2\\x80\\xA8\\xE2\\x81\\xA6€"',
      show "\u{9b}31m é\u{202e}\u{2028}\u{2066}€")
    assert.equal("1", show(1))
    assert.equal("1.0", show(1.0))
    assert.matches("^function: 0x%x+ %(spec/cli/repl_spec.lua:%d+%)$", show(function() end))
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

  it("are bounded in length", function()
    assert.equal(('"%s"... (20000 bytes)'):format(("x"):rep(10000)), show(("x"):rep(20000)))
    local cut = show("a" .. ("é"):rep(10000))
    assert.matches('^"a[\xC3\xA9]+"%.%.%. %(20001 bytes%)$', cut)
    assert.truthy(utf8.len(cut))
    local wide, deep = {}, {}
    for i = 1, 200 do wide[i] = {i, name = ("n"):rep(300)} end
    for i = 1, 200 do deep["k" .. i] = wide end
    assert.is_true(#show(deep) < 300000)
    assert.matches("%.%.%. %d+ more", show(deep))
    local keys = {}
    for i = 1, 20000 do keys["k" .. i] = i end
    assert.matches("%.%.%. more\n}$", show(keys))
    local long = setmetatable({}, {__tostring = function() return ("t"):rep(30000) end})
    assert.matches("^t+%.%.%. %(30000 bytes%)$", show(long))
    assert.equal("{1, [3] = 3}", show {1, nil, 3})
    local results = require("moonloop.repl.show").values(table.pack(table.unpack({}, 1, 200)))
    assert.matches("nil\tnil\t... 150 more$", results)
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

  it("inserts the common part of several names, and lists them", function()
    local insert, names = complete("t.a", {t = {abc = 1, abd = 2, b = 3}})
    assert.equal("b", insert)
    assert.same({"abc", "abd"}, names)
  end)

  it("gives methods only after a colon", function()
    assert.equal("un", complete("t:r", {t = {run = print, rest = 1}}))
  end)

  it("finds the methods of the host's objects, and parts that are loaded on first use", function()
    local task = ml.spawn(function() end)
    local function all(line, scope)
      local insert, names = complete(line, scope)
      return names and table.concat(names, " ") or insert
    end
    assert.equal("await cancel status traceback", all("task:", {task = task}))
    assert.equal("security security_headers session sessions signer", all("ml.web.s", {ml = ml}))
    assert.equal("compress cors csrf csrf_token", all("ml.web.c", {ml = ml}))
    assert.equal("add_headers delete_cookie set_cookie set_signed_cookie", all("r:", {r = ml.web.response {}}))
    local server = ml.web.listen(ml.web.app(), {port = 0})
    assert.equal("read_certificates retire stop wait", all("s:", {s = server}))
    server:stop()
    task:await()
  end)

  it("runs no code, and finds nothing for unknown values", function()
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

  it("continues an unfinished line of output", function()
    open()
    screen:type("do ml.spawn(function() for i = 1, 3 do ml.sleep(0.1) io.write(i, ' ') io.flush() end print() end) end")
    screen:type(ENTER .. "typed")
    screen:expect("\n1 2 3\n> typed")
  end)

  it("reports failures in the background above the line", function()
    open()
    screen:type("do ml.spawn(error, 'lost') end" .. ENTER .. "typed")
    screen:expect("spawned at input 1:1\n> typed")
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

  it("cancels an input that computes endlessly", function()
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

  it("abandons a half-typed line, and a half-typed input", function()
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

  it("searches its history with Ctrl-R", function()
    open()
    for _, line in ipairs {"first = 1", "second = 2", "sécond = nil"} do
      screen:type((line:gsub("é", "e")) .. ENTER)
      screen:expect("\n>")
    end
    screen:type("half")
    screen:expect("> half")
    screen:type(CTRL_R)
    screen:expect("\n(search: )")
    screen:type("s")
    screen:expect("\n(search: s) second = nil")
    screen:type("t")
    screen:expect("\n(search: st) first = 1")
    screen:type("\127")
    screen:expect("\n(search: s) second = nil")
    screen:type(CTRL_R)
    screen:expect("\n(search: s) second = 2")
    screen:type(CTRL_R .. CTRL_R .. CTRL_R) -- there is no older one
    screen:expect("\n(search: s) first = 1")
    screen:type("é")
    screen:expect("\n(nothing found, search: sé)")
    screen:type(CTRL_G)
    screen:expect("\n> half")
    screen:type(CTRL_R .. "fir" .. CTRL_A .. "x = " .. ENTER .. "x, first" .. ENTER)
    screen:expect("near '='\n> x, first\nnil     1\n>")
    screen:type(CTRL_R .. "x, f")
    screen:expect("\n(search: x, f) x, first")
    screen:type(ENTER)
    screen:expect("\nnil     1\n>")
    screen:type(CTRL_R .. "first")
    screen:expect("first")
    screen:type(CTRL_C)
    screen:expect("\n> ^C\n>")
  end)

  it("keeps typed UTF-8 if the environment has no locale", function()
    screen = Screen.open(60, "/usr/bin/env", "LC_ALL=POSIX", "XDG_STATE_HOME=" .. folder .. "/state", binary)
    screen:expect("\n>")
    screen:type("'é' .. '漢'" .. ENTER)
    screen:expect("\n> 'é' .. '漢'\n\"é漢\"\n>")
  end)

  it("does not report an input that computes while nobody else waits", function()
    open()
    local compute = "do local t = os.clock() + 0.4 while os.clock() < t do end end 'done'"
    screen:type(compute:gsub("'done'", "return 'done'") .. ENTER)
    screen:expect("\"done\"\n>")
    assert.not_matches("held up", screen:text():match "\n> do local t = .*") -- the start may be
    screen:type("do ml.spawn(ml.sleep, 100) end" .. ENTER)
    screen:expect("\n>")
    screen:type(compute:gsub("'done'", "return 'again'") .. ENTER)
    screen:expect("\"again\"\n>")
    assert.matches("has held up the loop", screen:text())
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

  it("keeps its history from others, whoever may enter the folder", function()
    local path = folder .. "/state/moonloop/history"
    assert(ml.fs.mkdir(folder .. "/state/moonloop", { parents = true }))
    for _ = 1, 2 do
      open()
      screen:type("secret = 1" .. ENTER)
      screen:expect("1\n>")
      screen:type(CTRL_D)
      assert.equal(0, screen:finish())
      screen:close()
      assert.equal("600", ("%o"):format(ml.fs.stat(path).mode))
      assert(ml.fs.chmod(path, "644")) -- as one of before was
    end
  end)

  it("works if no history can be kept", function()
    screen = Screen.open(60, "/usr/bin/env", "XDG_STATE_HOME=/proc/nowhere", binary, "repl")
    screen:expect("\n>")
    screen:type("1" .. ENTER)
    screen:expect("\n1\n>")
  end)

  it("redraws the line when the terminal's width changes", function()
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

  it("ends cleanly at SIGTERM, and exits with the status given to os.exit", function()
    open()
    screen.pty:kill(15)
    assert.equal(143, screen:finish())
    screen:close()
    open()
    screen:type("os.exit(7)" .. ENTER)
    assert.equal(7, screen:finish())
  end)
end)
