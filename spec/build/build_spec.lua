-- `moonloop build`: a program with an app inside, in folders where nothing of the app is.
local elf = require "moonloop.build.elf"
local libraries = require "moonloop.build.libraries"
local lfs = require "lfs"
local ml = require "moonloop"
local folders = require "spec.support.folder"
local processes = require "spec.support.process"
local support = require "spec.support"
local web = require "spec.support.web"

local quote, sh = processes.quote, processes.sh

-- Without its symbols, if there is a strip: it is a quarter of the size.
local moonloop = folders.new {}
local MOONLOOP = quote(moonloop.path .. "/moonloop")
local has_strip = os.execute(("strip -o %s %s 2>/dev/null"):format(MOONLOOP, quote(support.binary)))
if not has_strip then os.execute(("cp %s %s"):format(quote(support.binary), MOONLOOP)) end
local BIG = support.xs(300000)

local FILES = {
  ["app.lua"] = [[
local ml = require "moonloop"
local cart = require "shop.cart"
local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
local views = ml.web.templates(here .. "/views")
local app = ml.web.app()
app:get("/", function() return ml.web.page(views, "index.html", { name = "<you>" }) end)
app:get("/cart", function() return { json = { cart.list(), ml.executor.run(function() return cart.list() end) } } end)
app:get("/read", function()
  local lines = {}
  for line in io.lines "data/list.txt" do lines[#lines + 1] = line end
  return { json = { lines, assert(ml.fs.read "data/list.txt"), ml.fs.stat("data/list.txt").size, ml.fs.exists "data/no",
    dofile "data/value.lua", require("plugins." .. "late"), package.searchpath("shop.cart", package.path),
    io.open("data/list.txt", "w") == nil } }
end)
app:get("/file", function() return ml.web.file "static/a.css" end)
app:static("/s", "static", { list = true })
if ... == "words" then print("script", #arg, arg[0], ...) end
return app
]],
  shop = { ["cart.lua"] = "local name, path = ...\nreturn { list = function() return name .. ' ' .. path end }\n" },
  plugins = { ["late.lua"] = "return 'late'\n" },
  views = { ["index.html"] = "<p>Hello <%= name %></p>\n" },
  static = { ["a.css"] = "body {}\n", sub = { ["index.html"] = "<h1>sub</h1>\n", ["big.txt"] = BIG },
    [".secret"] = "no" },
  data = { ["list.txt"] = "one\ntwo\n", ["value.lua"] = "return 7\n" },
  migrations = { ["0001_t.sql"] = "create table t (a integer);\n" },
}

local INCLUDE = "--include plugins --include data"

-- `moonloop build app.lua -o app` in a folder.
local function build(folder, options)
  return sh(("cd %s && %s build app.lua -o app %s"):format(quote(folder.path), MOONLOOP, options or ""))
end

local function built(files, options)
  local folder = folders.new(files)
  local output, status = build(folder, options)
  if status ~= 0 then folder:close() end
  assert.equal(0, status, output)
  return folder, output
end

-- The program in a new folder, where nothing else is.
local function alone(program)
  local folder = folders.new {}
  assert.equal("", (sh(("cp %s %s/app"):format(quote(program), quote(folder.path)))))
  return folder
end

local function run(folder, arguments) return sh(("cd %s && ./app %s"):format(quote(folder.path), arguments)) end

-- Starts `PROGRAM serve OPTIONS`; where it says that it serves it does.
local function serve(program, folder, options)
  local process = processes.start_program(("%s serve --block-limit 0 %s"):format(program, options or "--port 0"),
    ("cd %s;"):format(quote(folder.path)))
  local line = process:line()
  process.port = line and tonumber(line:match ":(%d+) ")
  if not line then
    local errors = process:errors()
    process:close()
    error("it does not serve: " .. errors, 2)
  end
  return process
end

local function get(process, path) return assert(web.get(process.port, path)) end

describe("one file:", function()
  teardown(function() moonloop:close() end)

  describe("a program with an app inside", function()
    local folder, output

    setup(function() folder, output = built(FILES, INCLUDE) end)
    teardown(function() folder:close() end)

    it("has its modules, templates, static files and code inside", function()
      local away <close> = alone(folder.path .. "/app")
      local process <close> = serve("./app", away)
      assert.equal("<p>Hello &lt;you&gt;</p>\n", get(process, "/").body)
      assert.equal('{"json":["shop.cart ./shop/cart.lua","shop.cart ./shop/cart.lua"]}', get(process, "/cart").body)
      assert.same({ { "one", "two" }, "one\ntwo\n", 8, false, 7, "late", "./shop/cart.lua", true },
        ml.json.decode(get(process, "/read").body).json)
      assert.equal("body {}\n", get(process, "/file").body)
      local _, status, errors = process:stop()
      assert.equal("", errors)
      assert.equal(0, status)
    end)

    it("serves static files from inside, and from the disk what is not there", function()
      local away <close> = alone(folder.path .. "/app")
      assert(lfs.mkdir(away.path .. "/static"))
      folders.write(away.path .. "/static/new.txt", "new")
      folders.write(away.path .. "/static/a.css", "old")
      local process <close> = serve("./app", away)
      local css = get(process, "/s/a.css")
      assert.equal("body {}\n", css.body)
      assert.equal("new", get(process, "/s/new.txt").body)
      assert.equal(BIG, get(process, "/s/sub/big.txt").body)
      assert.equal("<h1>sub</h1>\n", get(process, "/s/sub/").body)
      assert.equal(301, get(process, "/s/sub").status)
      for _, path in ipairs { "/s/none", "/s/.secret", "/s/../app.lua", "/s/%2e%2e/app.lua" } do
        assert.equal(404, get(process, path).status, path)
      end
      assert.matches('href="./sub/".*', get(process, "/s/").body)
      local client <close> = ml.http.client { base_url = "http://127.0.0.1:" .. process.port }
      local part = assert(client:get("/s/sub/big.txt", { headers = { Range = "bytes=299990-" } }))
      assert.equal(206, part.status)
      assert.equal("xxxxxxxxxx", part.body)
      local etag = css.headers.etag
      assert.equal(304, assert(client:get("/s/a.css", { headers = { ["If-None-Match"] = etag } })).status)
      process:stop()
    end)

    it("has the commands of moonloop, without the name of the app", function()
      local away <close> = alone(folder.path .. "/app")
      assert.matches("script\t2\tapp.lua\twords\tmore\n", (run(away, "words more")))
      assert.matches("script\t2\tapp.lua\twords\tserve\n", (run(away, "run words serve")))
      assert.matches("nothing serves it: run it with '[^' ]+ serve'\n", (run(away, "other")))
      assert.matches('^{', (run(away, "openapi")))
      assert.matches("^The app app.lua is inside of this program", (run(away, "serve --help")))
      assert.matches("ran 0001_t", (run(away, "migrate up --url sqlite:t.db?mode=rwc")))
      assert.equal("moonloop", run(away, "--version"):match "^%w+")
      assert.equal("3\n", (run(away, "-e 'print(1 + 2)'")))
      for arguments, message in pairs {
        ["serve other.lua"] = "serve: the app is inside of this program: 'other.lua' is too much",
        ["serve --reload"] = "serve: --reload: the code is inside of this program, and stays",
        ["dev"] = "dev: the code is inside of this program, and stays",
        ["build app.lua -o x"] = "build: this program has an app inside: moonloop builds others",
      } do
        local said, status = run(away, arguments)
        assert.truthy(said:find(message, 1, true), said)
        assert.equal(2, status)
      end
    end)

    it("has dofile without a path, which reads standard input, and searchpath where no global package is", function()
      local away <close> = alone(folder.path .. "/app")
      local at = quote(away.path)
      assert.equal("42\n", (sh(("cd %s && echo 'return 41 + 1' | ./app -e 'print(dofile())'"):format(at))))
      local said = run(away, [[-e 'local search = package.searchpath; package = nil; print(search("a.b", "./?.x"))']])
      assert.equal("nil\tno file './a/b.x'\n", said)
    end)

    it("serves by worker processes", function()
      local away <close> = alone(folder.path .. "/app")
      local process <close> = serve("./app", away, "--port 0 --workers 2")
      assert.equal("<p>Hello &lt;you&gt;</p>\n", get(process, "/").body)
      assert.equal(0, select(2, process:stop()))
    end)

    it("runs in a root that has only libc and libm", function()
      local linked = sh("ldd " .. quote(folder.path .. "/app"))
      for name in linked:gmatch "(%S+) =>" do
        if name ~= "libc.so.6" and name ~= "libm.so.6" then pending("this build needs " .. name) end
      end
      local root <close> = alone(folder.path .. "/app")
      for path in linked:gmatch "(/%S+) %(" do
        local into = quote(root.path .. path:match "^(.*)/")
        assert.equal("", (sh(("mkdir -p %s && cp -L %s %s"):format(into, quote(path), into))))
      end
      local enter
      for _, try in ipairs { "unshare -r chroot ", "chroot " } do
        if sh(("%s %s /app -e 'print(1)'"):format(try, quote(root.path))) == "1\n" then enter = try break end
      end
      if not enter then pending "nobody may change the root here" end
      local process <close> = serve(("%s %s /app"):format(enter, quote(root.path)), root, "--listen unix:/s.sock")
      local reply = assert(web.ask(root.path .. "/s.sock", web.request("GET", "/")))
      assert.equal("<p>Hello &lt;you&gt;</p>\n", reply.body)
      process:stop()
    end)

    it("keeps the app when it is stripped, and says so when it is lost or damaged", function()
      if not has_strip then pending "there is no strip" end
      local away <close> = alone(folder.path .. "/app")
      local change = "cd %s && strip -o stripped app && objcopy -R .moonloop app lost"
      assert.equal("", (sh(change:format(quote(away.path)))))
      assert.matches("script\t1\tapp.lua\twords\n", (sh(("cd %s && ./stripped words"):format(away.path))))
      local said, status = sh(("cd %s && ./lost words"):format(away.path))
      assert.equal("./lost: the app inside is lost: something has taken the section .moonloop out of the program; " ..
        "build it again\n", said)
      assert.equal(1, status)
      -- A file inside, and then the index.
      local program = folders.read(away.path .. "/app")
      local at = elf.find(program, ".moonloop")
      local css = program:find("body {}", at, true)
      folders.write(away.path .. "/app", elf.put(program, css - 1, "bODY"))
      local process <close> = serve("./app", away)
      assert.equal(500, get(process, "/file").status)
      assert.equal(500, get(process, "/s/a.css").status)
      assert.equal(200, get(process, "/").status)
      process:stop()
      for place, bytes in pairs { [at + 2] = "x", [at + 60] = "\255" } do
        folders.write(away.path .. "/app", elf.put(program, place, bytes))
        said, status = run(away, "words")
        assert.equal("./app: the app inside is damaged: copy or build the program again\n", said)
        assert.equal(1, status)
      end
    end)

    it("is told of: what is inside, and what is not", function()
      assert.matches("^app: app.lua with 3 modules and %d+ other files", output:match "app: app.lua.*")
      for _, line in ipairs { "module shop.cart (./shop/cart.lua)", "module data.value (./data/value.lua)",
        "module plugins.late (./plugins/late.lua)",
        "folder static", "folder views", "folder migrations", "folder data", "Not inside: libc.so.6, libm.so.6.",
        'warning: app.lua:12: require("plugins." .. "late"): which module' } do
        assert.truthy(output:find(line, 1, true), line)
      end
      local named = {}
      for name in output:gmatch "\n  (lib%S+)" do named[name] = true end
      local loaded = {}
      for name in sh "cat $(find host -name '*.c')":gmatch '"(lib[%w%-]+%.so%.%d+)"' do loaded[name] = true end
      for _, name in ipairs(libraries.always) do loaded[name] = nil end -- the program is linked to them
      assert.same(loaded, named)
    end)

    it("is the same each time", function()
      local other <close> = built(FILES, INCLUDE)
      sh(("touch -d 2001-01-01 %s/app.lua"):format(other.path))
      local again <close> = folders.new(FILES)
      for _, where in ipairs { other, again } do
        local said, status = sh(("cd %s && SOURCE_DATE_EPOCH=1700000000 %s build app.lua -o app %s"):format(where.path,
          MOONLOOP, INCLUDE))
        assert.equal(0, status, said)
      end
      assert.equal("", (sh(("cmp %s/app %s/app"):format(other.path, again.path))))
    end)
  end)

  describe("moonloop build", function()
    it("refuses what cannot run, with the line", function()
      local folder <close> = folders.new {
        ["app.lua"] = 'local a = require "a"\nrequire "gone"\nlocal ok = pcall(require, "maybe")\nrequire "lfs"\n',
        ["a.lua"] = "\nreturn require('lpeg') or require 'b'\n", ["b.lua"] = "return )\n",
      }
      local output, status = build(folder)
      assert.equal(1, status)
      assert.is_nil(lfs.attributes(folder.path .. "/app"))
      for _, line in ipairs {
        "moonloop: build: app.lua:2: module 'gone' was not found (or --leave-out gone):",
        "moonloop: build: app.lua:4: 'lfs' is a C module (",
        "moonloop: build: ./a.lua:2: 'lpeg' is a C module (",
        "moonloop: build: ./b.lua: it does not compile: ",
        "moonloop: build: warning: app.lua:3: module 'maybe' was not found; pcall is asked for it when the program",
      } do assert.truthy(output:find(line, 1, true), output) end
    end)

    it("names a folder once, however often it is asked for", function()
      local folder <close> = folders.new { up = { ["a.txt"] = "" }, ["app.lua"] = 'ml = require "moonloop"\n' ..
        'ml.web.app():static("/a", "up"):static("/b", "./up/")\n' }
      local output = build(folder, "--include up --include up/")
      local _, count = output:gsub("  folder up\n", "%0")
      assert.equal(1, count, output)
    end)

    it("says once that a folder is elsewhere", function()
      local folder <close> = folders.new { up = { ["a.txt"] = "", ["b.txt"] = "" }, app = {
        ["app.lua"] = 'ml = require "moonloop"\nml.web.app():static("/", "../up")\n' } }
      local output, status = sh(("cd %s/app && %s build app.lua -o app"):format(quote(folder.path), MOONLOOP))
      assert.equal(1, status)
      assert.equal("moonloop: build: app.lua:2: ../up is not below the working directory: what is inside has names " ..
        "from there on\n", output)
    end)

    it("says which settings stay outside", function()
      local files = {
        ["app.lua"] = 'local ml = require "moonloop"\n' ..
          'print(ml.settings { { { "key", ml.schema.string() } }, dotenv = { "a.env", "gone.env" } }.key)\n',
        ["a.env"] = "KEY=17\n",
      }
      local folder <close>, output = built(files)
      assert.truthy(output:find("\n  not inside: a.env, settings, which it reads where it runs\n", 1, true), output)
      assert.is_nil(output:find("gone.env", 1, true))
      assert.equal("17\n", (run(folder, "")))
      local away <close> = alone(folder.path .. "/app")
      local said, status = run(away, "")
      assert.equal(1, status)
      assert.truthy(said:find("a.env, which is no file here", 1, true), said)
      local with <close>, told = built(files, "--include a.env")
      assert.is_nil(told:find("not inside: a.env", 1, true), told)
      local other <close> = alone(with.path .. "/app")
      assert.equal("17\n", (run(other, "")))
    end)

    it("leaves out what it is told to", function()
      local folder <close> = built({
        ["app.lua"] = 'ml, lfs = require "moonloop", require "lfs"\nml.web.app():static("/", "up")\n' ..
          'print(pcall(require, "b"))\n',
        ["b.lua"] = "return 1\n", up = { ["a.txt"] = "" } }, "--leave-out b --leave-out lfs --leave-out up")
      local away <close> = alone(folder.path .. "/app")
      assert(lfs.mkdir(away.path .. "/up"))
      assert.matches("^false\t[^\n]*module 'b' not found.*no module 'b' inside of the program", (run(away, "")))
    end)

    it("says what is wrong with its arguments", function()
      local folder <close> = folders.new { ["app.lua"] = "" }
      for arguments, message in pairs {
        [""] = "build: the app file is missing",
        ["app.lua"] = "build: the name of the program is missing: -o FILE",
        ["app.lua -o"] = "build: -o needs a value",
        ["app.lua b.lua -o x"] = "build: only one app file is allowed, not also 'b.lua'",
        ["app.lua --includ x -o x"] = "build: unknown option '--includ' (did you mean '--include'?)",
        ["app.lua -ox --include gone"] = "--include gone: there is no such file, folder or module",
        ["gone.lua -ox"] = "moonloop: build: cannot read gone.lua: No such file or directory",
        [". -ox"] = "moonloop: build: cannot read .: Is a directory",
        ["../app.lua -ox"] = "the app has to be below the working directory",
        ["app.lua -o none/x"] = "cannot write none/x: ",
      } do
        local output, status = sh(("cd %s && %s build %s"):format(folder.path, MOONLOOP, arguments))
        assert.truthy(output:find(message, 1, true), output)
        assert.is_true(status == 1 or status == 2)
      end
    end)
  end)
end)
