-- Folders: what is in them, walking, patterns, making and removing them, temporary ones.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local support = require "spec.support"
local tasks = require "spec.support.tasks"

local fs = ml.fs

--- A spec with a fresh folder that has these entries: f(path).
local function within(entries, f)
  return function()
    local folder <close> = folders.new(entries)
    f(folder.path)
  end
end

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

local function failed(code, ...)
  local value, err = ...
  assert.is_nil(value)
  assert.same({ "fs", code }, { err.kind, err.code })
  return err
end

describe("ml.fs.list", function()
  it("gives the names, sorted", within({ b = "", a = "", [".c"] = "", d = { e = "" } }, function(path)
    assert.same({ ".c", "a", "b", "d" }, fs.list(path))
    assert(fs.mkdir(path .. "/empty"))
    assert.same({}, fs.list(path .. "/empty"))
  end))

  it("names the path where it fails", within({ a = "" }, function(path)
    assert.equal(path .. "/none", failed("ENOENT", fs.list(path .. "/none")).path)
    failed("ENOTDIR", fs.list(path .. "/a"))
  end))

  it("reads a folder of many", within({}, function(path)
    local expected = {}
    for i = 1, 3000 do
      expected[i] = ("%05d"):format(i)
      folders.write(path .. "/" .. expected[i], "")
    end
    assert.same(expected, fs.list(path))
  end))
end)

describe("ml.fs.walk", function()
  local tree = { a = { ["1"] = "", b = { c = "" } }, d = "", ["0"] = {} }

  local function walk(path, opts)
    local list = {}
    for entry in fs.walk(path, opts) do
      list[#list + 1] = ("%d %s %s"):format(entry.depth, entry.type, entry.path:sub(#path + 2))
    end
    return list
  end

  it("gives all that is below, each folder before its content", within(tree, function(path)
    assert.same({ "1 directory 0", "1 directory a", "2 file a/1", "2 directory a/b", "3 file a/b/c", "1 file d" },
      walk(path))
  end))

  it("does not follow links", within(tree, function(path)
    folders.link(path .. "/a/up", "..")
    assert.same({ "1 directory 0", "1 directory a", "2 file a/1", "2 directory a/b", "3 file a/b/c", "2 link a/up",
      "1 file d" }, walk(path))
  end))

  it("goes only where it should", within(tree, function(path)
    assert.same({ "1 directory 0", "1 directory a", "2 file a/1", "2 directory a/b", "1 file d" },
      walk(path, { descend = function(entry) return entry.name ~= "b" end }))
  end))

  it("leaves out a folder that is gone, and is left at any time", within(tree, function(path)
    local seen = {}
    for entry in fs.walk(path) do
      seen[#seen + 1] = entry.name
      if entry.name == "a" then assert(fs.remove(entry.path, { recursive = true })) end
    end
    assert.same({ "0", "a", "d" }, seen)
    assert.equal("0", fs.walk(path)().name)
  end))

  it("returns an error where there is no folder", within(tree, function(path)
    failed("ENOENT", fs.walk(path .. "/none"))
    failed("ENOTDIR", fs.walk(path .. "/d"))
    assert.matches("unknown option 'x' of ml.fs.walk", raised(fs.walk, path, { x = 1 }))
  end))
end)

describe("ml.fs.glob", function()
  local tree = {
    ["a.lua"] = "", ["b.lua"] = "", ["c.txt"] = "", [".hidden.lua"] = "", ["é.lua"] = "", ["x[y].lua"] = "",
    sub = { ["d.lua"] = "", deep = { ["e.lua"] = "", [".f"] = "" } }, [".git"] = { ["g.lua"] = "" },
  }

  local function check(pattern, ...)
    local expected = { ... }
    it(pattern .. " gives its paths", within(tree, function(path)
      local found = assert(fs.glob(path .. "/" .. pattern))
      for i, one in ipairs(found) do found[i] = one:sub(#path + 2) end
      assert.same(expected, found)
    end))
  end

  check("*.lua", "a.lua", "b.lua", "x[y].lua", "é.lua")
  check("?.lua", "a.lua", "b.lua", "é.lua")
  check("[ab].lua", "a.lua", "b.lua")
  check("[!a].lua", "b.lua", "é.lua")
  check("[b-z].*", "b.lua", "c.txt")
  check(".*.lua", ".hidden.lua")
  check("x\\[y\\].lua", "x[y].lua")
  check("x[[]y].lua", "x[y].lua")
  check("{a,c}.{lua,txt}", "a.lua", "c.txt")
  check("{sub/{d,none},b}.lua", "b.lua", "sub/d.lua")
  check("a.lua", "a.lua")
  check("none")
  check("none/*")
  check("a.lua/*")
  check("*/*.lua", "sub/d.lua")
  check("**/*.lua", "a.lua", "b.lua", "sub/d.lua", "sub/deep/e.lua", "x[y].lua", "é.lua")
  check("sub/**", "sub/d.lua", "sub/deep", "sub/deep/e.lua")
  check("**/deep/*", "sub/deep/e.lua")
  check("**/**/e.lua", "sub/deep/e.lua")
  check("[")

  it("is fast where a pattern has many stars", within({ [("a"):rep(200)] = "" }, function(path)
    assert.same({}, fs.glob(path .. "/" .. ("*a"):rep(50) .. "b"))
    assert.equal(1, #fs.glob(path .. "/" .. ("*a"):rep(50)))
  end))

  it("does not go through links with **, and does with names", within(tree, function(path)
    folders.link(path .. "/sub/up", "..")
    assert.same({ path .. "/sub/deep/e.lua" }, fs.glob(path .. "/**/e.lua"))
    assert.same({ path .. "/sub/up/a.lua" }, fs.glob(path .. "/sub/*/a.lua"))
  end))

  it("refuses too many alternatives", function()
    assert.matches("stands for more than 1000", raised(fs.glob, ("{a,b}"):rep(11)))
  end)
end)

describe("ml.fs.mkdir", function()
  it("makes a folder, and those that lead there", within({ file = "" }, function(path)
    assert.is_true(fs.mkdir(path .. "/a", { mode = "700" }))
    assert.equal(tonumber("700", 8), fs.stat(path .. "/a").mode)
    failed("EEXIST", fs.mkdir(path .. "/a"))
    failed("ENOENT", fs.mkdir(path .. "/x/y/z"))
    assert.is_true(fs.mkdir(path .. "/x/y/z/", { parents = true }))
    assert.is_true(fs.mkdir(path .. "/x/y/z", { parents = true }))
    assert.equal("directory", fs.stat(path .. "/x/y/z").type)
    failed("EEXIST", fs.mkdir(path .. "/file", { parents = true }))
    assert.equal(path .. "/file", failed("ENOTDIR", fs.mkdir(path .. "/file/x/y", { parents = true })).path
      :sub(1, #path + 5))
  end))

  it("can be asked by many at once", within({}, function(path)
    local jobs = {}
    for i = 1, 30 do jobs[i] = { fs.mkdir, path .. "/a/b/c/d", { parents = true } } end
    for _, made in ipairs(ml.gather(jobs)) do assert.is_true(made) end
  end))
end)

describe("ml.fs.remove", function()
  it("removes a file, an empty folder, or a link", within({ a = "", b = {}, c = { d = "" } }, function(path)
    folders.link(path .. "/l", "c")
    assert.is_true(fs.remove(path .. "/a"))
    assert.is_true(fs.remove(path .. "/b/"))
    assert.is_true(fs.remove(path .. "/l", { recursive = true }))
    assert.matches("recursive = true", failed("ENOTEMPTY", fs.remove(path .. "/c")).message)
    assert.same({ "c" }, fs.list(path))
    assert.same({ "d" }, fs.list(path .. "/c"))
    failed("ENOENT", fs.remove(path .. "/a"))
    failed("ENOENT", fs.remove(path .. "/a", { recursive = true }))
    for _, name in ipairs { "/.", "/..", "/c/.." } do
      failed("EINVAL", fs.remove(path .. name, { recursive = true }))
    end
    failed("EINVAL", fs.remove("/", { recursive = true }))
  end))

  it("removes what is in a folder, but not what links lead to",
    within({ outside = { keep = "" }, tree = { a = "", b = { c = { d = "" } } } }, function(path)
      folders.link(path .. "/tree/l", "../outside")
      folders.link(path .. "/tree/b/c/l", path .. "/outside")
      assert.is_true(fs.remove(path .. "/tree", { recursive = true }))
      assert.same({ "outside" }, fs.list(path))
      assert.same({ "keep" }, fs.list(path .. "/outside"))
    end))

  it("does not follow a folder that somebody exchanges for a link", within({ outside = {} }, function(path)
    for i = 1, 200 do folders.write(("%s/outside/%d"):format(path, i), "") end
    local outside = path .. "/outside"
    for _ = 1, 20 do
      assert(fs.mkdir(path .. "/tree/victim/sub", { parents = true }))
      for i = 1, 20 do folders.write(("%s/tree/victim/%d"):format(path, i), "") end
      ml.gather {
        function() fs.remove(path .. "/tree", { recursive = true }) end, -- may find that it was moved
        function()
          if fs.rename(path .. "/tree/victim", path .. "/away") then fs.symlink(outside, path .. "/tree/victim") end
        end,
      }
      fs.remove(path .. "/tree", { recursive = true })
      fs.remove(path .. "/away", { recursive = true })
      assert.equal(200, #fs.list(outside))
    end
  end))

  it("removes folders that are very deep", within({}, function(path)
    local part = ("d"):rep(200)
    -- Deeper than a path may be long: each half is made by itself.
    local half = path .. ("/" .. part):rep(15)
    assert(fs.mkdir(half, { parents = true }))
    assert(fs.mkdir(path .. "/other" .. ("/" .. part):rep(15), { parents = true }))
    assert(fs.rename(path .. "/other", half .. "/other"))
    assert.is_true(fs.remove(path .. "/" .. part, { recursive = true }))
    assert(fs.mkdir(path .. ("/e"):rep(1000), { parents = true }))
    assert.is_true(fs.remove(path .. "/e", { recursive = true }))
    assert.same({}, fs.list(path))
  end))
end)

describe("a temporary folder", function()
  it("is removed with what is in it when its block is left", function()
    local path
    do
      local folder <close> = assert(fs.temp_dir())
      path = folder.path
      assert.equal(tonumber("700", 8), fs.stat(path).mode)
      assert(fs.mkdir(path .. "/a/b", { parents = true }))
      assert(fs.write(path .. "/a/b/c", "x"))
    end
    assert.is_false(fs.exists(path))
  end)

  it("is removed when its task is cancelled", function()
    local path
    local task = ml.spawn(function()
      local folder <close> = assert(fs.temp_dir())
      assert(fs.write(folder.path .. "/a", "x"))
      path = folder.path
      ml.sleep(1000)
    end)
    tasks.eventually(function() return path end)
    task:cancel()
    tasks.await(task)
    assert.is_false(fs.exists(path))
  end)

  it("can be closed before, and be gone already", function()
    local folder <close> = assert(fs.temp_dir())
    assert.is_true(folder:close())
    assert.is_false(fs.exists(folder.path))
    local other <close> = assert(fs.temp_dir())
    assert(fs.remove(other.path))
  end)

  it("is removed by the collector where it is forgotten", function()
    warn "@off" -- a debug build says so
    local path = assert(fs.temp_dir()).path
    tasks.eventually(function()
      collectgarbage()
      return not fs.exists(path)
    end)
    warn "@on"
  end)

  it("is made where TMPDIR says", function()
    local folder <close> = assert(fs.temp_dir())
    local process = require "spec.support.process"
    local output = process.sh(("TMPDIR='%s' '%s' -e %s"):format(folder.path, support.binary, process.quote([[
      local ml = require "moonloop"
      local folder <close> = assert(ml.fs.temp_dir())
      local file <close> = assert(ml.fs.temp_file())
      print(folder.path) print(file.path)
    ]])))
    local count = 0
    for line in output:gmatch "[^\n]+" do
      assert(line:find(folder.path, 1, true), output)
      count = count + 1
    end
    assert.equal(2, count)
    assert.same({}, fs.list(folder.path))
  end)
end)
