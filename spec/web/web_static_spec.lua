-- app:static: the files of a directory.
local ml = require "moonloop"
local web = require "moonloop.web"
require "spec.support"
local folders = require "spec.support.folder"
local support = require "spec.support.web"

local get = support.get

--- Serves the folder "site" of this tree at /s while `f(port, folder)` runs.
local function serving(opts, f)
  local folder <close> = folders.new {
    ["secret.txt"] = "secret",
    ["site-secret"] = { ["a.txt"] = "secret" },
    site = {
      ["index.html"] = "<p>home",
      ["a.txt"] = "text",
      [".hidden"] = "hidden",
      ["%2e%2e"] = "a name",
      ["<b>&\"'.txt"] = "marked up",
      [".git"] = { config = "hidden" },
      sub = { ["index.html"] = "<p>sub", ["b.css"] = "p {}" },
      bare = { ["c.json"] = "{}", [".d"] = "", folder = {} },
    },
  }
  local app = web.app()
  app:static("/s", folder.path .. "/site", opts)
  app:get("/other", function() return "other" end)
  support.serving(app, function(port) f(port, folder.path) end)
end

local function status(port, target) return get(port, target).status end

describe("static", function()
  it("sends the files beneath the directory, with their types", function()
    serving({ max_age = 3600 }, function(port)
      local res = get(port, "/s/a.txt")
      assert.same({ 200, "text", "text/plain; charset=utf-8", "max-age=3600" },
        { res.status, res.body, res.headers["content-type"], res.headers["cache-control"] })
      assert.equal("text/css; charset=utf-8", get(port, "/s/sub/b.css").headers["content-type"])
      assert.equal("application/json", get(port, "/s/bare/c.json").headers["content-type"])
      assert.equal("nosniff", res.headers["x-content-type-options"])
      assert.equal("ext", get(port, "/s/a.txt", "Range: bytes=1-\r\n").body)
      assert.equal(304, get(port, "/s/a.txt", "If-None-Match: *\r\n").status)
      assert.equal("a name", get(port, "/s/%252e%252e").body)
      assert.equal("other", get(port, "/other").body)
    end)
  end)

  it("answers GET and HEAD only", function()
    serving(nil, function(port)
      local res = support.post(port, "/s/a.txt", "")
      assert.same({ 405, "GET, HEAD" }, { res.status, res.headers.allow })
      res = support.ask(port, support.request("HEAD", "/s/a.txt"), true)
      assert.same({ 200, "4" }, { res.status, res.headers["content-length"] })
    end)
  end)

  it("sends the index of a directory, at its path with a slash", function()
    serving(nil, function(port)
      assert.equal("<p>home", get(port, "/s/").body)
      assert.equal("text/html; charset=utf-8", get(port, "/s/").headers["content-type"])
      assert.equal("<p>sub", get(port, "/s/sub/").body)
      local res = get(port, "/s/sub")
      assert.same({ 301, "./sub/", "" }, { res.status, res.headers.location, res.body })
      assert.equal("./s/", get(port, "/s").headers.location)
    end)
  end)

  it("may have an index of another name, or none", function()
    serving({ index = "c.json" }, function(port)
      assert.equal("{}", get(port, "/s/bare/").body)
      assert.equal("application/json", get(port, "/s/bare/").headers["content-type"])
      assert.equal(404, status(port, "/s/"))
    end)
    serving({ index = false }, function(port)
      assert.equal(404, status(port, "/s/"))
      assert.equal(404, status(port, "/s/sub"))
      assert.equal("<p>sub", get(port, "/s/sub/index.html").body)
    end)
  end)

  it("lists directories only when asked", function()
    serving(nil, function(port)
      assert.equal(404, status(port, "/s/bare/"))
      assert.equal(404, status(port, "/s/bare"))
    end)
  end)

  it("lists directories when asked, escaped, without dotfiles", function()
    serving({ list = true, index = false }, function(port)
      assert.equal("./bare/", get(port, "/s/bare").headers.location)
      local res = get(port, "/s/bare/")
      assert.equal("text/html; charset=utf-8", res.headers["content-type"])
      assert.truthy(res.body:find('<a href="./c.json">c.json</a>', 1, true))
      assert.truthy(res.body:find('<a href="./folder/">folder/</a>', 1, true))
      assert.is_nil(res.body:find(".d", 1, true))
      local home = get(port, "/s/").body
      assert.truthy(home:find('<a href="./%3Cb%3E%26%22%27.txt">&lt;b&gt;&amp;&quot;&#39;.txt</a>', 1, true))
      assert.truthy(home:find('<a href="./%252e%252e">%2e%2e</a>', 1, true))
      assert.is_nil(home:find("hidden", 1, true))
      assert.equal("marked up", get(port, "/s/%3Cb%3E%26%22%27.txt").body)
    end)
  end)

  it("lets other tasks run while it lists a long directory", function()
    local files, turns, at_list = require "moonloop.web.files.core", 0, nil
    local list, names = files.list, {}
    for i = 1, 3000 do names[i] = "file" .. i end
    files.list = function()
      at_list = turns
      return names
    end
    local other = ml.spawn(function()
      while true do
        ml.sleep(0)
        turns = turns + 1
      end
    end)
    local before_sending
    local app, folder <close> = web.app(), folders.new { bare = { a = "" } }
    app:use(function(req, next)
      local res = next(req)
      before_sending = turns
      return res
    end)
    app:static("/s", folder.path, { list = true })
    support.serving(app, function(port) assert.matches("file3000</a>", get(port, "/s/bare/").body) end)
    other:cancel()
    files.list = list
    assert.is_true(before_sending - at_list >= 5, before_sending - at_list .. " turns")
  end)

  it("is 404 for a missing file", function()
    serving(nil, function(port)
      for _, target in ipairs { "/s/nothing", "/s/a.txt/", "/s/a.txt/b", "/s/nothing/", "/s/" .. ("a"):rep(300),
        "/s/" .. ("a/"):rep(2000), "/sx/a.txt" } do
        assert.equal(404, status(port, target), target)
      end
    end)
  end)

  it("cannot be left, however the way up is spelled", function()
    serving({ dotfiles = true, list = true }, function(port)
      for _, up in ipairs { "..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "sub/../..", "sub/%2e%2e/%2e%2e" } do
        for _, slash in ipairs { "/", "%2f", "%2F", "%5c" } do
          assert.equal(404, status(port, "/s/" .. up .. slash .. "secret.txt"), up .. slash)
        end
      end
      for _, target in ipairs { "/s/..", "/s/../", "/s/.", "/s/./a.txt", "/s/sub/./b.css", "/s/sub/../a.txt",
        "/s/%252e%252e/secret.txt", "/s/%252e%252e%252fsecret.txt", "/s//secret.txt", "/s//a.txt", "/s/sub//b.css",
        "/s/%2fetc/passwd", "/s/%2f%2fetc/passwd", "/s/a.txt%00", "/s/a.txt%00.html", "/s/%00", "/s/..%00/secret.txt",
        "/s/..;/secret.txt", "/s/../site-secret/a.txt", "/s-secret/a.txt",
        "/s/sub%5cb.css" } do
        assert.equal(404, status(port, target), target)
      end
      assert.equal(400, status(port, "/s/%c0%ae%c0%ae/secret.txt"))
    end)
  end)

  it("serves dotfiles only when asked", function()
    serving(nil, function(port)
      for _, target in ipairs { "/s/.hidden", "/s/%2ehidden", "/s/.git/config", "/s/bare/.d" } do
        assert.equal(404, status(port, target), target)
      end
    end)
    serving({ dotfiles = true }, function(port)
      assert.equal("hidden", get(port, "/s/.hidden").body)
      assert.equal("hidden", get(port, "/s/.git/config").body)
    end)
  end)

  it("follows symbolic links within the directory, but none that lead out of it", function()
    serving({ list = true, index = false }, function(port, folder)
      local site = folder .. "/site/"
      folders.link(site .. "in.txt", "a.txt")
      folders.link(site .. "in-absolute.txt", site .. "a.txt")
      folders.link(site .. "up-and-in.txt", "../site/a.txt")
      folders.link(site .. "dir", "sub")
      folders.link(site .. "out.txt", "../secret.txt")
      folders.link(site .. "out-absolute.txt", folder .. "/secret.txt")
      folders.link(site .. "sibling", "../site-secret")
      folders.link(site .. "outdir", "..")
      folders.link(site .. "twice.txt", "out.txt")
      folders.link(site .. "loop", "loop")
      folders.link(site .. "nowhere", "nothing")
      folders.link(site .. "proc", "/proc/self/root")
      for _, name in ipairs { "in.txt", "in-absolute.txt", "up-and-in.txt" } do
        assert.equal("text", get(port, "/s/" .. name).body, name)
      end
      assert.equal("p {}", get(port, "/s/dir/b.css").body)
      for _, target in ipairs { "out.txt", "out-absolute.txt", "sibling/a.txt", "sibling/", "outdir/secret.txt",
        "outdir/", "outdir", "twice.txt", "loop", "nowhere", "proc/etc/passwd", "proc/" } do
        assert.equal(404, status(port, "/s/" .. target), target)
      end
    end)
  end)

  it("may itself be a link, which is looked up for each request", function()
    serving(nil, function(_, folder)
      folders.link(folder .. "/current", "site")
      local app = web.app()
      app:static("/", folder .. "/current")
      support.serving(app, function(port)
        assert.equal("text", get(port, "/a.txt").body)
        assert.equal("<p>home", get(port, "/").body)
        os.remove(folder .. "/current")
        folders.link(folder .. "/current", "site-secret")
        assert.equal("secret", get(port, "/a.txt").body)
        assert.equal(404, status(port, "/"))
      end)
    end)
  end)

  it("refuses anything but regular files", function()
    serving(nil, function(port, folder)
      assert.is_true(os.execute("mkfifo '" .. folder .. "/site/fifo'"))
      assert.equal(404, status(port, "/s/fifo"))
    end)
  end)

  it("redirects only to the same path with a slash", function()
    serving(nil, function(port, folder)
      assert(require "lfs".mkdir(folder .. "/site/a:b"))
      folders.write(folder .. "/site/a:b/index.html", "")
      assert.equal("./a%3Ab/", get(port, "/s/a:b").headers.location)
      assert.equal("./sub/?x=1&y=%41", get(port, "/s/sub?x=1&y=%41").headers.location)
      assert.equal("./sub/", get(port, "/s/sub?").headers.location)
      local app = web.app()
      app:static("/", folder .. "/site")
      support.serving(app, function(other)
        for _, target in ipairs { "//sub", "//sub/..", "/%2fsub", "//evil.example/%2e%2e" } do
          assert.equal(404, status(other, target), target)
        end
      end)
    end)
  end)

  it("with wrong arguments is an error that names them", function()
    local function fails(text, ...)
      local ok, err = pcall(web.app().static, web.app(), ...)
      assert.is_false(ok)
      assert.truthy(err:find(text, 1, true), err)
    end
    fails("app:static: the prefix must begin with a slash", "s", "/tmp")
    fails("app:static: the directory is a nil (expected a string)", "/s")
    fails("app:static: /nowhere/at/all is not a directory", "/s", "/nowhere/at/all")
    fails("app:static: no/where is not a directory of the working directory", "/s", "no/where")
    fails("unknown option 'indx' of app:static", "/s", "/tmp", { indx = "a" })
    fails("option 'list' of app:static is a string (expected boolean)", "/s", "/tmp", { list = "yes" })
    fails("option 'index' of app:static must be the name of a file", "/s", "/tmp", { index = "a/b" })
    fails("option 'max_age' of app:static is -1 (expected a number of seconds)", "/s", "/tmp", { max_age = -1 })
  end)
end)
