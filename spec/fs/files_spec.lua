-- Whole files: reading, writing, copying, what is known of them, and their names.
local ml = require "moonloop"
local examples = require "spec.support.examples"
local process = require "spec.support.process"
local support = require "spec.support"

local fs = ml.fs

--- A spec with a fresh folder: f(path).
local function within(f)
  return function()
    local folder <close> = assert(fs.temp_dir())
    f(folder.path)
  end
end

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

--- Checks that the results are nil and an error of kind "fs".
local function failed(code, call, path, ...)
  local value, err = ...
  assert.is_nil(value)
  assert.is_true(ml.is_error(err))
  assert.same({ "fs", code, call, path }, { err.kind, err.code, err.call, err.path })
  assert(err.message:find(path, 1, true), err.message)
  return err.message
end

describe("ml.fs.read and ml.fs.write", function()
  it("pass bytes as they are", within(function(folder)
    local path = folder .. "/a"
    for _, text in ipairs { "", "x", "a\0b\r\n\xff", support.xs(100000), support.xs(1000000) .. "end" } do
      assert.is_true(fs.write(path, text))
      assert.equal(text, fs.read(path))
    end
    assert.is_true(fs.write(path, 12.5))
    assert.equal("12.5", fs.read(path))
  end))

  it("read files of any size, whether the system has them in memory or not", within(function(folder)
    local path = folder .. "/a"
    for _, size in ipairs { 65535, 65536, 4 * 1024 * 1024, 4 * 1024 * 1024 + 1, 9 * 1024 * 1024 } do
      local text = support.xs(size - 1) .. "e"
      assert(fs.write(path, text, { sync = true }))
      assert.is_true(fs.read(path) == text)
      assert.is_true(fs.read(path, size) == text)
      assert.equal("limit", select(2, fs.read(path, size - 1)).kind)
    end
  end))

  it("read many files at once", within(function(folder)
    local texts = {}
    for i = 1, 20 do
      texts[i] = support.xs(100000 + i)
      assert(fs.write(folder .. "/" .. i, texts[i]))
    end
    local jobs = {}
    for i = 1, 200 do jobs[i] = { fs.read, folder .. "/" .. i % 20 + 1 } end
    for i, text in ipairs(ml.gather(jobs)) do assert.is_true(text == texts[i % 20 + 1]) end
  end))

  it("read what the kernel makes, which has no size", function()
    assert.matches("^Name:", fs.read "/proc/self/status")
    assert.equal("limit", select(2, fs.read("/proc/self/status", 5)).kind)
    assert.equal("limit", select(2, fs.read("/dev/zero", 100000)).kind)
    assert.equal("", fs.read "/dev/null")
  end)

  it("say what is beyond the limit", within(function(folder)
    assert(fs.write(folder .. "/a", "123456"))
    local text, err = fs.read(folder .. "/a", 5)
    assert.is_nil(text)
    assert.equal("limit", err.kind)
    assert.matches("has more than 5 bytes", err.message)
    assert.equal("123456", fs.read(folder .. "/a", 6))
    assert.equal("limit", select(2, fs.read(folder .. "/a", 0)).kind)
  end))

  it("append", within(function(folder)
    assert(fs.write(folder .. "/a", "one", { append = true }))
    assert(fs.write(folder .. "/a", "two", { append = true }))
    assert.equal("onetwo", fs.read(folder .. "/a"))
  end))

  it("make the file shorter where the content is", within(function(folder)
    assert(fs.write(folder .. "/a", "long content"))
    assert(fs.write(folder .. "/a", "short"))
    assert.equal("short", fs.read(folder .. "/a"))
  end))

  it("give a new file its mode, and leave that of one that is there", within(function(folder)
    for _, options in ipairs { { mode = "600" }, { mode = 384, atomic = true } } do
      local path = folder .. "/" .. tostring(options.atomic)
      assert(fs.write(path, "x", options))
      assert.equal(tonumber("600", 8), fs.stat(path).mode)
      assert(fs.chmod(path, "640"))
      assert(fs.write(path, "y", options))
      assert.equal(tonumber("640", 8), fs.stat(path).mode)
      assert.equal("y", fs.read(path))
    end
  end))

  it("name the path and the call where they fail", within(function(folder)
    failed("ENOENT", "open", folder .. "/none", fs.read(folder .. "/none"))
    assert.matches("%(ml%.fs%.list reads folders%)", failed("EISDIR", "read", folder, fs.read(folder)))
    assert.matches("parents = true", failed("ENOENT", "open", folder .. "/a/b", fs.write(folder .. "/a/b", "x")))
    failed("EISDIR", "open", folder, fs.write(folder, "x"))
    failed("EISDIR", "replace", folder, fs.write(folder, "x", { atomic = true }))
    failed("ENOTDIR", "open", "/dev/null/x", fs.read "/dev/null/x")
  end))

  it("refuse a path with a NUL, and arguments that make no sense", function()
    for name, f in pairs(fs) do
      if name ~= "safe_join" and name ~= "temp_dir" and name ~= "temp_file" then
        local second = (name == "write" or name:find "link$" or name == "rename" or name == "copy") and "c" or nil
        assert.matches("contains a NUL", raised(f, "a\0b", second))
        assert.matches("bad argument #1 to 'ml%.fs%." .. name .. "'", raised(f, {}))
      end
    end
    for _, name in ipairs { "rename", "copy", "link", "symlink" } do
      assert.matches("bad argument #2 to 'ml%.fs%." .. name, raised(fs[name], "a", "b\0c"))
    end
    assert.matches("cannot be negative", raised(fs.read, "a", -1))
    assert.matches("string expected, got no value", raised(fs.write, "a"))
    assert.matches("cannot append to a file that it replaces",
      raised(fs.write, "a", "", { append = true, atomic = true }))
    assert.matches("option 'sync' of ml%.fs%.write is a number %(expected boolean%)",
      raised(fs.write, "a", "", { sync = 1 }))
    assert.matches("option 'mode' of ml%.fs%.write is not octal", raised(fs.write, "a", "", { mode = "rw" }))
    assert.matches("unknown option 'apend' of ml%.fs%.write %(did you mean 'append'%?%)",
      raised(fs.write, "a", "", { apend = true }))
    assert.matches("octal digits", raised(fs.chmod, "a", "888"))
    assert.matches("octal digits", raised(fs.chmod, "a", 99999))
  end)
end)

describe("an atomic write", function()
  it("gives nobody else's set-user-ID to whoever replaces the file", function()
    local as = require("spec.support.servers").as_nobody()
    -- Only root can make another's file here, who must be able to run this program.
    if as == "" or select(2, process.sh(("%s test -x %s"):format(as, support.binary))) ~= 0 then return end
    local folder <close> = assert(fs.temp_dir())
    local path = folder.path .. "/program"
    assert(fs.chmod(folder.path, "777"))
    assert(fs.write(path, "old"))
    assert(fs.chmod(path, "6755"))
    assert(fs.write(folder.path .. "/write.lua", ('assert(require "moonloop".fs.write(%q, "new", { atomic = true }))')
      :format(path)))
    assert(fs.chmod(folder.path .. "/write.lua", "644"))
    assert.same({ "", 0 }, { process.sh(("%s %s run --block-limit 0 %s"):format(as, support.binary,
      folder.path .. "/write.lua")) })
    assert.equal("new", fs.read(path))
    assert.equal(tonumber("755", 8), assert(fs.stat(path)).mode & 4095)
  end)

  it("replaces the file, and leaves nothing beside it", within(function(folder)
    local path = folder .. "/a"
    assert(fs.write(path, "old"))
    local before = fs.stat(path).ino
    assert(fs.write(path, "new", { atomic = true, sync = true }))
    assert.equal("new", fs.read(path))
    assert.not_equal(before, fs.stat(path).ino)
    assert.same({ "a" }, fs.list(folder))
  end))

  it("is never seen half done", within(function(folder)
    local path = folder .. "/a"
    local texts = { [support.xs(300000)] = true, [("y"):rep(200000)] = true }
    assert(fs.write(path, (next(texts))))
    local stop = false
    local reader = ml.spawn(function()
      repeat assert(texts[assert(fs.read(path))]) until stop
    end)
    for _ = 1, 20 do
      for text in pairs(texts) do assert(fs.write(path, text, { atomic = true, sync = false })) end
    end
    stop = true
    reader:await()
  end))

  it("goes through links, which stay", within(function(folder)
    assert(fs.mkdir(folder .. "/sub"))
    assert(fs.write(folder .. "/sub/real", "old"))
    assert(fs.symlink("sub/real", folder .. "/link"))
    assert(fs.write(folder .. "/link", "new", { atomic = true }))
    assert.equal("sub/real", fs.readlink(folder .. "/link"))
    assert.equal("new", fs.read(folder .. "/sub/real"))
    assert.same({ "real" }, fs.list(folder .. "/sub"))
  end))

  it("works for names of the greatest length", within(function(folder)
    local path = folder .. "/" .. ("n"):rep(255)
    assert(fs.write(path, "x", { atomic = true }))
    assert(fs.write(path, "y", { atomic = true }))
    assert.equal("y", fs.read(path))
  end))
end)

describe("ml.fs.copy", function()
  it("copies content and permissions", within(function(folder)
    local text = support.xs(700000)
    assert(fs.write(folder .. "/a", text, { mode = "700" }))
    assert.is_true(fs.copy(folder .. "/a", folder .. "/b"))
    assert.is_true(fs.read(folder .. "/b") == text)
    assert.equal(tonumber("700", 8), fs.stat(folder .. "/b").mode)
    assert(fs.write(folder .. "/a", ""))
    assert(fs.copy(folder .. "/a", folder .. "/b"))
    assert.equal("", fs.read(folder .. "/b"))
    assert.same({ "a", "b" }, fs.list(folder))
  end))

  it("copies files of the kernel, and a file onto itself", within(function(folder)
    assert(fs.copy("/proc/self/status", folder .. "/status"))
    assert.matches("^Name:", fs.read(folder .. "/status"))
    assert(fs.copy(folder .. "/status", folder .. "/status"))
    assert.matches("^Name:", fs.read(folder .. "/status"))
  end))

  it("leaves what is there where it fails", within(function(folder)
    assert(fs.write(folder .. "/b", "old"))
    assert.matches("to '.*/b'", failed("ENOENT", "open", folder .. "/a", fs.copy(folder .. "/a", folder .. "/b")))
    failed("EISDIR", "read", folder, fs.copy(folder, folder .. "/b"))
    assert.equal("old", fs.read(folder .. "/b"))
  end))
end)

describe("a full disk", function()
  local code = [[
    local fs, folder, how = ml.fs, ...
    local text, long = ("o"):rep(20000), ("n"):rep(200000)
    assert(fs.write(folder .. "/a", text))
    local function check(options, path)
      local ok, err = fs.write(folder .. path, long, options)
      assert(not ok and err.kind == "fs", "it was written")
      assert(err.code == "EFBIG" or err.code == "ENOSPC", err)
      print(err.call, path)
    end
    check({}, "/a")
    check({ atomic = true }, "/a")
    check({ append = true }, "/a")
    check({}, "/new")
    check({ append = true }, "/new")
    check({ atomic = true }, "/new")
    assert(not fs.copy("/proc/self/exe", folder .. "/a"))
    assert(fs.read(folder .. "/a") == text)
    local file <close> = assert(fs.open(folder .. "/file", "w"))
    local ok, err, written = file:write(long)
    assert(not ok and err.kind == "fs" and written == err.written and written < #long)
    file:close()
    assert(fs.remove(folder .. "/file"))
    assert(table.concat(fs.list(folder), " ") == "a", "something was left")
    print "done"
  ]]
  local expected = "write\t/a\nwrite\t/a\nwrite\t/a\nwrite\t/new\nwrite\t/new\nwrite\t/new\ndone\n"

  --- Runs the code in `folder`, after the commands `before` of a shell.
  local function run(folder, before)
    assert(fs.write(folder .. "/script.lua", 'local ml = require "moonloop"\n' .. code))
    assert(fs.mkdir(folder .. "/disk"))
    return process.sh(("sh -c %s"):format(process.quote(("%s exec %s run --block-limit 0 '%s' '%s'"):format(before,
      process.quote(support.binary), folder .. "/script.lua", folder .. "/disk"))))
  end

  it("is an error that leaves the old files, as is a limit on their size", within(function(folder)
    local output, status = run(folder, "ulimit -f 128;") -- in units of 512 or 1024 bytes
    assert.equal(expected, output)
    assert.equal(0, status)
  end))

  it("of a small file system is the same", within(function(folder)
    local mount = ("mount -t tmpfs -o size=96k tmpfs '%s/disk' &&"):format(folder)
    if not os.execute("unshare -rm sh -c 'mount -t tmpfs tmpfs /mnt' 2>/dev/null") then
      pending "nothing may be mounted here"
      return
    end
    local script = "#!/bin/sh\n%s exec %s run --block-limit 0 %s/script.lua %s/disk\n"
    assert(fs.write(folder .. "/run", script:format(mount,
      process.quote(support.binary), folder, folder), { mode = "700" }))
    assert(fs.write(folder .. "/script.lua", 'local ml = require "moonloop"\n' .. code))
    assert(fs.mkdir(folder .. "/disk"))
    local output, status = process.sh(("unshare -rm '%s/run'"):format(folder))
    assert.equal(expected, output)
    assert.equal(0, status)
  end))

  it("that takes nothing is an error of write", function()
    failed("ENOSPC", "write", "/dev/full", fs.write("/dev/full", "x"))
  end)
end)

describe("ml.fs.stat and the like", function()
  it("tell what is known of a file", within(function(folder)
    local path = folder .. "/a"
    assert(fs.write(path, "12345", { mode = "640" }))
    assert(fs.utime(path, 1e9 + 0.5, 1.5e9 + 0.25))
    local about = fs.stat(path)
    assert.equal("file", about.type)
    assert.equal(5, about.size)
    assert.equal(tonumber("640", 8), about.mode)
    assert.equal(1e9 + 0.5, about.atime)
    assert.equal(1.5e9 + 0.25, about.mtime)
    assert.is_true(about.ctime > 1.6e9)
    assert.equal(1, about.nlink)
    assert.equal("directory", fs.stat(folder).type)
    assert.equal("char", fs.stat("/dev/null").type)
    failed("ENOENT", "stat", folder .. "/b", fs.stat(folder .. "/b"))
  end))

  it("follow links, and lstat does not", within(function(folder)
    assert(fs.symlink("nowhere", folder .. "/l"))
    failed("ENOENT", "stat", folder .. "/l", fs.stat(folder .. "/l"))
    assert.equal("link", fs.lstat(folder .. "/l").type)
    assert.is_false(fs.exists(folder .. "/l"))
    assert.equal("nowhere", fs.readlink(folder .. "/l"))
    failed("EINVAL", "readlink", folder, fs.readlink(folder))
  end))

  it("tell what exists, and what cannot be known", within(function(folder)
    assert(fs.write(folder .. "/a", ""))
    assert.is_true(fs.exists(folder))
    assert.is_true(fs.exists(folder .. "/a"))
    assert.is_false(fs.exists(folder .. "/b"))
    assert.is_false(fs.exists(folder .. "/a/b"))
    assert(fs.symlink("loop", folder .. "/loop"))
    failed("ELOOP", "stat", folder .. "/loop", fs.exists(folder .. "/loop"))
    failed("ENAMETOOLONG", "stat", folder .. "/" .. ("x"):rep(300), fs.exists(folder .. "/" .. ("x"):rep(300)))
  end))

  it("set the times to now", within(function(folder)
    assert(fs.write(folder .. "/a", ""))
    assert(fs.utime(folder .. "/a", 1000))
    assert.same({ 1000.0, 1000.0 }, { fs.stat(folder .. "/a").atime, fs.stat(folder .. "/a").mtime })
    assert(fs.utime(folder .. "/a"))
    assert.is_true(fs.stat(folder .. "/a").mtime > 1.6e9)
    assert(fs.utime(folder .. "/a", -1.5))
    assert.equal(-1.5, fs.stat(folder .. "/a").mtime)
  end))
end)

describe("names", function()
  it("are changed, and there can be several", within(function(folder)
    local a, b, c = folder .. "/a", folder .. "/b", folder .. "/c"
    assert(fs.write(a, "text"))
    assert.is_true(fs.rename(a, b))
    assert.is_true(fs.link(b, c))
    assert.equal(2, fs.stat(c).nlink)
    assert.is_true(fs.remove(b))
    assert.equal("text", fs.read(c))
    assert.matches("to '.*/b'", failed("ENOENT", "rename", a, fs.rename(a, b)))
    failed("EEXIST", "link", c, fs.link(c, c))
  end))

  it("are made absolute", within(function(folder)
    assert(fs.mkdir(folder .. "/sub"))
    assert(fs.symlink("sub/../sub", folder .. "/l"))
    assert.equal(fs.realpath(folder) .. "/sub", fs.realpath(folder .. "/l/."))
    failed("ENOENT", "realpath", folder .. "/none", fs.realpath(folder .. "/none"))
  end))

  it("from outside are joined only below the folder", function()
    for name, path in pairs {
      ["a"] = "d/a", ["a/b.txt"] = "d/a/b.txt", ["./a//b/"] = "d/a/b", ["a/../b"] = "d/b", [""] = "d", ["."] = "d",
      ["..."] = "d/...", ["a/.."] = "d", ["..a"] = "d/..a",
    } do
      assert.equal(path, fs.safe_join("d", name))
    end
    assert.equal("/a", fs.safe_join("/", "a"))
    assert.equal("/d/a", fs.safe_join("/d/", "a"))
    assert.equal("a", fs.safe_join("", "a"))
    for _, name in ipairs { "..", "../a", "a/../../b", "/etc/passwd", "//x", "a\0b", "./../x" } do
      local path, err = fs.safe_join("d", name)
      assert.is_nil(path)
      assert.same({ "fs", "OUTSIDE", name }, { err.kind, err.code, err.path })
    end
    assert.matches("bad argument #2 to 'ml.fs.safe_join'", raised(fs.safe_join, "d"))
  end)
end)

describe("doc/files.md", function()
  for _, example in ipairs(examples.of "doc/files.md") do it(example.name, example.run) end
end)
