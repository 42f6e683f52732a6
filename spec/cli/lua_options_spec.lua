-- The options that `lua` has, and options that come before the command.
local folders = require "spec.support.folder"
local processes = require "spec.support.process"
local binary = require("spec.support").binary

local folder

-- Runs a shell command in the folder, where $M is the binary: what it printed on both channels, status.
local function sh(command, input)
  folders.write(folder.path .. "/input", input or "")
  local output, status = processes.sh(("cd '%s' && M='%s' && { %s\n} <input")
    :format(folder.path, binary, (command:gsub("%$M", '"$M"'))))
  return output, status
end

local function expect(output, command, input)
  local printed, status = sh(command, input)
  assert.equal(output, printed)
  assert.equal(0, status)
end

setup(function()
  folder = folders.new {
    ["s.lua"] = "print('script', ...) print(arg[0], arg[1], arg[-1], #arg)",
    ["m.lua"] = "return { name = 'm', ... }",
    ["m-v2.lua"] = "return { name = 'm-v2' }",
    ["serve"] = "print('a script called serve', ...)",
  }
end)

teardown(function() folder:close() end)

describe("-e", function()
  it("runs code, several pieces in order, then the script with its arguments", function()
    expect("1\n", "$M -e 'print(1, ...)'")
    expect("1\n2\nscript\ta\tb\ns.lua\ta\tprint(2)\t2\n", "$M -e 'print(1)' -e 'print(2)' s.lua a b")
    expect("7\nscript\t-e\ns.lua\t-e\tprint(7)\t1\n", "$M -e 'print(7)' s.lua -e")
    expect("7\n", "$M '-eprint(7)'")
    expect("script\t--\ns.lua\t--\t--\t1\n", "$M -- s.lua --")
    expect("0\tnil\n5\ta\t-\n", "$M -e 'print(0, arg[2])' - a", "print(5, ..., arg[0])")
  end)

  it("is one task with the script, which may wait", function()
    expect("later\n", "$M -e 'ml = require [[moonloop]] x = 1 ml.sleep(0.001)' -e 'ml.sleep(0.001) print[[later]]'")
  end)

  it("sets arg as lua does if there is no script", function()
    expect("-e\tprint(arg[1], arg[2], #arg)\t2\n", "$M -e 'print(arg[1], arg[2], #arg)'")
  end)

  it("stops at the first piece that fails", function()
    local output, status = sh "$M -e 'print(1)' -e 'x =' -e 'print(2)'"
    assert.equal("1\nmoonloop: (command line):1: unexpected symbol near <eof>\n", output)
    assert.equal(1, status)
    output, status = sh "$M -e 'print(1)' -e 'error[[no]]' s.lua"
    assert.matches("^1\nmoonloop: %(command line%):1: no\nstack traceback:\n", output)
    assert.equal(1, status)
    output, status = sh "$M -e 'print(1)' nosuch.lua"
    assert.equal("1\nmoonloop: cannot open nosuch.lua: No such file or directory\n", output)
    assert.equal(1, status)
  end)
end)

describe("-l", function()
  it("requires a module into a global", function()
    expect("m\n", "$M -l m -e 'print(m.name)'")
    expect("m\n", "$M -lm -e 'print(m.name)'")
    expect("m\n", "$M -l g=m -e 'print(g.name)'")
    expect("m-v2\n", "$M -l m-v2 -e 'print(m.name)'")
    expect("m\n", "$M -l m -", "print(m.name)")
    expect("m\n", "$M -l m", "print(m.name)")
  end)

  it("reports a missing module", function()
    local output, status = sh "$M -l nosuch s.lua"
    assert.matches("module 'nosuch' not found", output)
    assert.equal(1, status)
  end)
end)

describe("LUA_INIT", function()
  it("is code, or a file, that runs first", function()
    expect("init\n2\n", "LUA_INIT='print[[init]]' $M -e 'print(2)'")
    expect("init\nscript\ns.lua\tnil\t" .. binary .. "\t0\n", "LUA_INIT='print[[init]]' $M s.lua")
    folders.write(folder.path .. "/init.lua", "m = require 'm'")
    expect("m\n", "LUA_INIT=@init.lua $M -e 'print(m.name)'")
    expect("54\n", "LUA_INIT_5_4='print(54)' LUA_INIT='print(0)' $M", "")
  end)

  it("is reported if it fails, and nothing else runs", function()
    local output, status = sh "LUA_INIT='error[[no]]' $M s.lua"
    assert.matches("^moonloop: LUA_INIT:1: no\n", output)
    assert.equal(1, status)
  end)

  it("runs before the commands, too", function()
    expect("init\n3\n", "LUA_INIT='print[[init]] x = 3' $M repl", "x\n")
    folders.write(folder.path .. "/x_spec.lua", "it('has it', function() assert.equal(3, x) end)")
    local output, status = sh "LUA_INIT='x = 3' $M test x_spec.lua"
    assert.equal(0, status, output)
  end)
end)

describe("-E", function()
  it("ignores LUA_INIT, LUA_PATH and LUA_CPATH", function()
    local plain = sh "env -u LUA_PATH -u LUA_CPATH $M -e 'print(package.path, package.cpath)'"
    expect(plain, "LUA_INIT='print(1)' LUA_PATH='x;;' LUA_CPATH_5_4=y $M -E -e 'print(package.path, package.cpath)'")
    expect("x;y\n", "LUA_PATH='x' LUA_CPATH_5_4=y $M -e 'print(package.path .. [[;]] .. package.cpath)'")
  end)
end)

describe("-W, -v and -i", function()
  it("turn warnings on, print the versions, and lead to the prompt", function()
    expect("Lua warning: w\n", "$M -W -e 'warn[[w]]'")
    local version = sh "$M --version"
    expect(version, "$M -v")
    expect(version .. "1\n", "$M -v -e 'print(1)'")
    expect("1\n3\n", "$M -e 'x = 3 print(1)' -i", "x\n")
    expect("script\ta\ns.lua\ta\t-i\t1\n3\n", "$M -i s.lua a", "1 + 2\n")
    expect("3\n", "$M -i", "1 + 2\n")
  end)

  it("do not lead to the prompt after a script that fails", function()
    local output, status = sh("$M -i -e 'error[[no]]'", "print 'not reached'\n")
    assert.matches("^moonloop: %(command line%):1: no\n", output)
    assert.falsy(output:find("not reached", 1, true))
    assert.equal(1, status)
  end)
end)

describe("options before the command", function()
  it("are the command's", function()
    expect("script\ns.lua\tnil\trun\t0\n", "$M --block-limit 0 run s.lua")
    expect("script\ns.lua\tnil\t0\t0\n", "$M --block-limit 0 s.lua")
    expect("2\n", "$M --block-limit=0 repl", "1 + 1\n")
    folders.write(folder.path .. "/x_spec.lua", "it('passes', function() end)")
    local output, status = sh "$M --shuffle=1 test x_spec.lua"
    assert.matches("^moonloop test: shuffled; %-%-shuffle=1 ", output)
    assert.equal(0, status)
    assert.matches("^moonloop: serve: %-%-port must be a number from 0 to 65535, not 'x'\n",
      (sh "$M --port x --reload serve app.lua"))
    assert.matches("^moonloop: run: unknown option '%-%-port'\n", (sh "$M --port 0 s.lua"))
    assert.matches("^moonloop: ps: unknown option '%-%-reload'\n", (sh "$M --reload ps 1"))
  end)

  it("serve the app, whose file is arg[0]", function()
    folders.write(folder.path .. "/app.lua", [[
      print(arg[0], set)
      local app = require "moonloop".web.app()
      app:on_start(function() require "moonloop".spawn(os.exit, 0) end)
      return app]])
    assert.matches("^app.lua\tyes\nmoonloop [%d.]+: serving app.lua on http://127", (sh
      "$M -e 'set = [[yes]]' --port 0 --drain 1 serve app.lua"))
  end)

  it("let a script have a command's name", function()
    expect("a script called serve\tx\n", "$M run serve x")
    expect("a script called serve\tx\n", "$M -- serve x")
    expect("a script called serve\trun\n", "$M ./serve run")
  end)
end)
