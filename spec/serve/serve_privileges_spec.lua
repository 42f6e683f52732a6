-- `moonloop serve --user`, `--group` and `--sandbox`: what a server gives up when its sockets are open.
local common = require "spec.support"
local folders = require "spec.support.folder"
local json = require "moonloop.json"
local lfs = require "lfs"
local ml = require "moonloop"
local processes = require "spec.support.process"
local served = require "spec.support.served"
local tls = require "spec.support.tls"
local web = require "spec.support.web"

local app = [[
  local app = require "moonloop".web.app()
  app:get("/who", function()
    local status = io.open "/proc/self/status":read "a"
    return { seccomp = status:match "Seccomp:%s+(%d+)", pid = tonumber(status:match "\nPid:%s+(%d+)"),
      uid = status:match "Uid:%s+(%d+)", gid = status:match "Gid:%s+(%d+)",
      groups = status:match "Groups:%s+([^\n]*)", home = os.getenv "HOME", limited = status:match "NoNewPrivs:%s+(%d)" }
  end)
  app:get("/write", function(req)
    local file, why = io.open(req.query.path, "w")
    if file then file:close() end
    return why or "written"
  end)
  app:get("/read", function(req)
    local file, why = io.open(req.query.path)
    return why or file:read "a" or "a folder"
  end)
  app:get("/temp", function()
    local ml = require "moonloop"
    local folder = assert(ml.fs.temp_dir())
    assert(ml.fs.write(folder.path .. "/deep", "kept"))
    return { os.getenv "TMPDIR", folder.path .. "/deep" }
  end)
  app:get("/list", function(req)
    local list, err = require "moonloop".fs.list(req.query.path)
    return list and { n = #list } or err.code
  end)
  app:get("/program", function()
    local ok, err = require "moonloop".process.run { "true" }
    return ok and "executed" or err.code
  end)
  app:get("/remove", function(req) return select(2, os.remove(req.query.path)) or "removed" end)
  app:get("/execute", function() return { ok = os.execute "true" or false } end)
  app:get("/job", function()
    return require "moonloop".executor.run(function(path) return select(2, io.open(path, "w")) or "written" end,
      "/var/outside")
  end)
  return app
]]
local files = { ["app.lua"] = app }
local OUTSIDE = common.binary:match "^(.*)/" -- of what a sandbox opens
local is_root = processes.sh "id -u":find "^0" ~= nil

-- What a `serve` with these options, which does not start, says, and its status.
local function refused(options, before)
  local folder <close> = folders.new(files)
  return processes.sh(("cd '%s' && %s timeout 60 '%s' serve app.lua --port 0 %s"):format(folder.path, before or "",
    common.binary, options))
end

-- Can this kernel do it?
local function has_landlock()
  local folder <close> = folders.new(files)
  local process <close> = processes.start(("serve %s/app.lua --port 0 --sandbox"):format(folder.path))
  return process:line() ~= nil
end

describe("serve --user and --group", function()
  for _, options in ipairs { "", "--workers 1" } do
    it(("give root's rights up when the sockets are open (%s)"):format(options), function()
      if not is_root then return pending "needs root" end
      local server <close> = served.start(files, "--user nobody --group 65533 " .. options)
      local who = json.decode(server:get "/who".body)
      assert.same({ "65534", "65533", "65533" }, { who.uid, who.gid, (who.groups:gsub("%s+$", "")) })
      assert.equal("/nonexistent", who.home)
      assert.equal("1", who.limited)
      server:kill "TERM"
      assert.equal(0, (server:finish()))
    end)
  end

  -- Else only root could connect, or everybody had to.
  it("give the file of a Unix socket to whom they name", function()
    if not is_root then return pending "needs root" end
    for _, options in ipairs { "", "--workers 1" } do
      local server <close> = served.start_at("--listen unix:s.sock,mode=660", files,
        "--user nobody --group 65533 " .. options)
      assert.equal("65534 65533 660\n", (processes.sh(("stat -c '%%u %%g %%a' '%s/s.sock'"):format(server.path))))
      assert.equal("65534", json.decode(server:get_from("s.sock", "/who").body).uid)
    end
  end)

  it("take numbers, and the user's own groups", function()
    if not is_root then return pending "needs root" end
    local server <close> = served.start(files, "--user 65534")
    local who = json.decode(server:get "/who".body)
    assert.same({ "65534", "65534" }, { who.uid, who.gid })
    assert.is_nil((" " .. who.groups):find " 0 ")
  end)

  it("say what they cannot do", function()
    for options, message in pairs {
      ["--user not-there"] = "--user not-there: there is no such user",
      ["--group not-there"] = "--group not-there: there is no such group",
      ["--workers 1 --user not-there"] = "--user not-there: there is no such user",
    } do
      local output, status = refused(options)
      assert.equal("moonloop: " .. message .. "\n", output)
      assert.equal(1, status)
    end
    local as_nobody = is_root and "setpriv --reuid=65534 --regid=65534 --clear-groups" or ""
    assert.equal("moonloop: --user root: only root can become another user\n",
      (refused("--user root", as_nobody)))
  end)
end)

describe("serve", function()
  -- Keys are root's, as a rule, and --user is another one: "Permission denied" alone is a riddle to root.
  it("says as which user it could not read a key", function()
    if not is_root or not tls.is_there() then return pending "needs root and openssl" end
    local certificates = tls.certificates { shop = { names = { "DNS:localhost" } } }
    local shop = certificates.shop
    processes.sh(("chmod 755 '%s'; chmod 644 '%s'; chmod 600 '%s'"):format(certificates.path, shop.cert, shop.key))
    local output, status = refused(("--user nobody --tls-cert '%s' --tls-key '%s'"):format(shop.cert, shop.key))
    certificates:close()
    assert.equal(("moonloop: key %s: Permission denied, as user 65534\n"):format(shop.key), output)
    assert.equal(1, status)
  end)

  -- Whatever renews it is root, as a rule.
  it("keeps its certificate, and says why, where a new key is none that its user can read", function()
    if not is_root or not tls.is_there() then return end
    for options, signals in pairs { [""] = { "HUP" }, ["--workers 1"] = { "USR2", "HUP" } } do
      local certificates <close> = tls.certificates { shop = { names = { "DNS:localhost" } } }
      local shop = certificates.shop
      processes.sh(("chmod 755 '%s'; chmod 644 '%s'; chmod 600 '%s'; chown 65534 '%s'"):format(certificates.path,
        shop.cert, shop.key, shop.key))
      local server <close> = served.start(files, ("--user nobody --tls-cert '%s' --tls-key '%s' %s"):format(shop.cert,
        shop.key, options))
      local client <close> = ml.http.client { ca = certificates.ca }
      local function ask() return assert(client:get("https://localhost:" .. server.port .. "/who")).status end
      assert.equal(200, ask())
      processes.sh(("cd '%s' && cp '%s' new && chmod 600 new && mv new '%s'"):format(certificates.path, shop.key,
        shop.key))
      for i, signal in ipairs(signals) do
        server:kill(signal)
        server:wait_for("Permission denied, as user 65534", i)
      end
      assert.equal(200, ask())
    end
  end)

  it("says that it serves as root, unless that is meant", function()
    if not is_root then return pending "needs root" end
    for options, count in pairs { [""] = 1, ["--workers 2"] = 1, ["--user root"] = 0, ["--user nobody"] = 0 } do
      local server <close> = served.start(files, options)
      server:get "/who"
      server:kill "TERM"
      server:finish()
      local errors = server.process:all_errors()
      assert.equal(count, select(2, errors:gsub("running as root", "")), options .. errors)
    end
  end)

  -- What the kernel shows of a process of which no core file is made belongs to root.
  it("leaves no core file, which would have its keys, unless it is told to", function()
    local own = processes.sh "id -u":match "%d+"
    local user = is_root and "--user nobody " or ""
    for options, owner in pairs { [""] = "0", ["--workers 1"] = "0", ["--core-files"] = is_root and "65534" or own,
      ["--workers 1 --core-files"] = is_root and "65534" or own } do
      local server <close> = served.start(files, user .. options)
      local pid = json.decode(server:get "/who".body).pid
      for _, process in ipairs { pid, server.pid } do -- the supervisor has the same variables, and keys
        assert.equal(owner, processes.sh(("stat -c %%u /proc/%d/environ"):format(process)):match "^%d+", options)
      end
    end
  end)
end)

describe("serve --sandbox", function()
  local works = has_landlock()

  it("does not serve where the kernel refuses", function()
    if works then return pending "this kernel has Landlock" end
    assert.matches("^moonloop: %-%-sandbox: the kernel refuses it: ", (refused "--sandbox"))
  end)

  for _, options in ipairs { "", "--workers 1" } do
    it(("lets an app write below its working directory and in one of its own only (%s)"):format(options), function()
      if not works then return pending "this kernel has no Landlock" end
      local outside <close> = folders.file "left" -- in the folder of everybody's temporary files
      local server <close> = served.start(files, "--sandbox " .. options)
      local function ask(target) return server:get(target).body end
      assert.equal("1", json.decode(ask "/who").limited)
      assert.equal("written", ask "/write?path=inside")
      assert.equal("removed", ask "/remove?path=inside")
      assert.equal("written", ask("/write?path=" .. server.path .. "/inside"))
      assert.equal("2", json.decode(ask "/who").seccomp)
      assert.matches("Permission denied", ask("/read?path=" .. outside.path))
      assert.matches("Permission denied", ask("/write?path=" .. outside.path))
      assert.matches("Permission denied", ask("/remove?path=" .. outside.path))
      assert.equal(app, ask "/read?path=app.lua")
      assert.matches("root:", ask "/read?path=/etc/passwd", 1, true)
      assert.matches("^Name:", ask "/read?path=/proc/self/status")
      assert.matches("Permission denied", ask "/read?path=/proc/1/cmdline")
      for _, path in ipairs { "/", "/root", "/home", "/var/lib", "/proc", "/run" } do
        assert.equal("EACCES", ask("/list?path=" .. path), path)
      end
      assert.equal("written", ask "/write?path=/dev/null")
      assert.matches("Permission denied", ask "/write?path=/var/outside")
      assert.matches("Permission denied", ask "/job")
      assert.matches("Permission denied", ask "/remove?path=/proc/self/status")
      assert.matches("[Pp]ermission denied", ask "/write?path=/etc/outside")
      server:kill "TERM"
      assert.equal(0, (server:finish()))
    end)
  end

  for _, options in ipairs { "", "--workers 1" } do
    it(("gives each process a folder for temporary files, and removes it (%s)"):format(options), function()
      if not works then return pending "this kernel has no Landlock" end
      local around <close> = folders.new { left = "left" }
      local folder <close> = folders.new(files)
      local process <close> = processes.start("serve app.lua --port 0 --sandbox " .. options,
        ("cd '%s'; export TMPDIR='%s';"):format(folder.path, around.path))
      local port = tonumber(assert(process:line(), process:errors()):match ":(%d+) ")
      local own, temp = table.unpack(json.decode(web.get(port, "/temp").body))
      assert.equal(around.path, own:match "^(.*)/moonloop%-%w+$")
      assert.equal(own, temp:match "^(.*)/[^/]+/deep$")
      assert.equal("rwx------", lfs.attributes(own, "permissions"))
      assert.equal("kept", folders.read(temp))
      assert.equal("EACCES", web.get(port, "/list?path=" .. around.path).body)
      assert.matches("Permission denied", web.get(port, "/remove?path=" .. around.path .. "/left").body)
      process:kill "TERM"
      assert.equal(0, select(2, process:wait()))
      assert.same({ "left" }, assert(ml.fs.list(around.path)))
    end)
  end

  it("lets an app write into the folders that systemd has made for it", function()
    if not works then return pending "this kernel has no Landlock" end
    local folder <close> = folders.new(files)
    local state <close> = folders.new {}
    local start = "cd '%s'; export TMPDIR=/nowhere STATE_DIRECTORY=/nowhere:/var/lib;"
    local process <close> = processes.start("serve app.lua --port 0 --sandbox", start:format(folder.path))
    local port = tonumber(process:line():match ":(%d+) ")
    local path = "/var/lib/" .. state.path:match "[^/]+$"
    local written = web.get(port, "/write?path=" .. path).body
    assert.equal(is_root and "written" or path .. ": Permission denied", written)
    if is_root then assert.equal("removed", web.get(port, "/remove?path=" .. path).body) end
    assert.matches("Permission denied", web.get(port, "/write?path=/var/outside").body)
  end)

  it("lets no program be executed", function()
    if not works then return pending "this kernel has no Landlock" end
    local server <close> = served.start(files, "--sandbox")
    assert.is_false(json.decode(server:get "/execute".body).ok)
    assert.equal("EPERM", server:get "/program".body)
  end)

  it("opens what it is told to, for reading or for writing", function()
    if not works then return pending "this kernel has no Landlock" end
    local read <close> = folders.new({ ["a.txt"] = "a" }, OUTSIDE)
    local write <close> = folders.new({}, OUTSIDE)
    local closed <close> = folders.new({ ["a.txt"] = "a" }, OUTSIDE)
    local server <close> = served.start(files, ("--sandbox-read %s --sandbox-write=%s"):format(read.path, write.path))
    assert.equal("a", server:get("/read?path=" .. read.path .. "/a.txt").body)
    assert.matches("Permission denied", server:get("/read?path=" .. closed.path .. "/a.txt").body)
    assert.matches("Permission denied", server:get("/write?path=" .. read.path .. "/a.txt").body)
    assert.equal("written", server:get("/write?path=" .. write.path .. "/b.txt").body)
    assert.equal("", server:get("/read?path=" .. write.path .. "/b.txt").body)
    assert.equal("moonloop: --sandbox: /nowhere: No such file or directory\n",
      (refused "--sandbox-read /nowhere"))
  end)

  it("reads one file of a variable that has one, and nothing of the variables behind it", function()
    if not works then return pending "this kernel has no Landlock" end
    local folder <close> = folders.new(files)
    local outside <close> = folders.new({ ["given"] = "given", ["closed="] = "closed" }, OUTSIDE)
    -- The last string of the environment is the path of the closed file: a variable called like it, without a value.
    local through = ("env -u SSL_CERT_FILE SSL_CERT_FILE='%s/given' '%s/closed='"):format(outside.path, outside.path)
    local process <close> = processes.start("serve app.lua --port 0 --sandbox", ("cd '%s';"):format(folder.path),
      through)
    local port = tonumber(assert(process:line(), process:errors()):match ":(%d+) ")
    assert.equal("given", web.get(port, "/read?path=" .. outside.path .. "/given").body)
    assert.matches("Permission denied", web.get(port, "/read?path=" .. outside.path .. "/closed%3d").body)
  end)

  for _, example in ipairs { "shop", "site.lua", "upload.lua", "events.lua" } do
    it("lets the example " .. example .. " be served", function()
      if not works then return pending "this kernel has no Landlock" end
      local folder <close> = folders.new {} -- it may write there
      processes.sh(("cp -r scripts/examples/. '%s'"):format(folder.path))
      local is_file = example:find "%.lua$"
      local process <close> = processes.start(("serve %s --port 0 --sandbox"):format(is_file and example or "app.lua"),
        ("cd '%s/%s';"):format(folder.path, is_file and "" or example))
      local port = tonumber(assert(process:line(), process:errors()):match ":(%d+) ")
      assert.equal(200, web.get(port, "/").status)
      assert.is_nil(process:errors():find "[Pp]ermi")
    end)
  end

  it("takes no value", function()
    local output, status = refused "--sandbox=yes"
    assert.matches("serve: %-%-sandbox takes no value", output)
    assert.equal(2, status)
  end)
end)
