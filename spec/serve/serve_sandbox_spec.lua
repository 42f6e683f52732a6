-- `moonloop serve --sandbox`: what machine code cannot do that has got into an app.
local common = require "spec.support"
local call = require "system_call"
local folders = require "spec.support.folder"
local json = require "moonloop.json"
local lfs = require "lfs"
local ml = require "moonloop"
local processes = require "spec.support.process"
local served = require "spec.support.served"
local tls = require "spec.support.tls"
local web = require "spec.support.web"

local OUTSIDE = common.binary:match "^(.*)/" -- of what a sandbox opens
local LANDLOCK_CREATE_RULESET = 444
local version = call(LANDLOCK_CREATE_RULESET, 0, 0, 1) -- of Landlock here, or nil

-- Makes the system calls of the body's list, each a list, in a handler or in an executor's thread.
local app = ([[
  package.cpath = "%s/spec/?.so;" .. package.cpath
  local ml = require "moonloop"
  local app = ml.web.app()
  local function all(list)
    local call = require "system_call"
    for i, args in ipairs(list) do
      local result, why = call(table.unpack(args))
      list[i] = result or why
    end
    return list
  end
  app:post("/", function(req) return all(req:json()) end)
  app:post("/job", function(req) return ml.executor.run(all, req:json()) end)
  app:get("/threads", function()
    local unlimited = 0
    ml.executor.run(function() end)
    ml.fs.stat "."
    for _, id in ipairs(ml.fs.list "/proc/self/task") do
      local status = ml.fs.read("/proc/self/task/" .. id .. "/status")
      if not status:find "Seccomp:%%s+2" or not status:find "NoNewPrivs:%%s+1" then unlimited = unlimited + 1 end
    end
    return { unlimited = unlimited }
  end)
  app:get("/capabilities", function()
    return { effective = ml.fs.read "/proc/self/status":match "CapEff:%%s+(%%x+)" }
  end)
  app:get("/chmod", function(req)
    local ok, err = ml.fs.chmod(req.query.path, tonumber("640", 8))
    return { ok and ml.fs.stat(req.query.path).mode or err.code }
  end)
  app:get("/utime", function(req)
    local ok, err = ml.fs.utime(req.query.path, 1000)
    return { ok and ml.fs.stat(req.query.path).mtime or err.code }
  end)
  app:get("/nice", function()
    return { ml.executor.run(function() return tonumber(io.open "/proc/thread-self/stat":read "a":match("%%) .*"):match(
      "^%%)" .. (" %%S+"):rep(16) .. " (%%S+)")) end) }
  end)
  app:post("/opened", function(req) -- which of these files can be
    local opened = {}
    for _, path in ipairs(req:json()) do
      local file = io.open(path)
      if file then opened[#opened + 1] = path end
      if file then file:close() end
    end
    return { opened = opened }
  end)
  app:get("/database", function(req)
    local db = ml.sql.open("sqlite:" .. req.query.path)
    local done, err = db:exec "create table t(a)"
    db:close()
    return done and "made" or err.message
  end)
  app:get("/resolve", function(req)
    local list, err = ml.net.resolve(req.query.name)
    return list or { err.kind }
  end)
  app:get("/zone", function() return { os.date "%%Z %%z" } end)
  app:get("/https", function(req)
    local client <close> = ml.http.client { ca = req.query.ca }
    local res, err = client:get(req.query.url)
    return { res and res.status or err.code }
  end)
  app:get("/listen", function()
    local server <close> = assert(ml.net.listen("unix:made.sock", { mode = tonumber("600", 8) }))
    return { ml.fs.stat "made.sock".mode }
  end)
  return app
]]):format(OUTSIDE)
local files = { ["app.lua"] = app, inside = "" }
local options = "--sandbox-read " .. OUTSIDE .. "/spec"

-- Constants of Linux, the same on all machines that have the sandbox.
local AT_FDCWD, NUL = -100, "\0"
local AF_UNIX, AF_INET, AF_NETLINK, AF_ALG, AF_VSOCK, AF_TIPC = 1, 2, 16, 38, 40, 30
local STREAM, RAW = 1, 3
local IPPROTO_TCP, IPPROTO_SCTP, NETLINK_XFRM, NETLINK_NETFILTER = 6, 132, 6, 12
local TIOCSTI = 0x5412
local F_SETOWN = 8
local O_CREAT = 512 -- of System V's queues and memory
local RLIMIT_NOFILE = 7
local CLONE_NEWUSER = 0x10000000

local function post(server, target, list)
  local res = assert(web.post(server.port, target, json.encode(list), "Content-Type: application/json\r\n"))
  return json.decode(res.body)
end

describe("machine code in the sandbox", function()
  if not version then return pending "this kernel has no Landlock" end

  for _, target in ipairs { "/", "/job" } do
    it(("has none of the usual ways out (%s)"):format(target), function()
      local outside <close> = folders.new({ file = "kept" }, OUTSIDE)
      local server <close> = served.start(files, options)
      local path = outside.path .. "/file"
      local expected, list = {}, {}
      local function refused(why, ...)
        list[#list + 1] = { ... }
        expected[#expected + 1] = why
      end
      -- Landlock asks nothing about these.
      refused("EPERM", "fchmodat", AT_FDCWD, path, 511)
      refused("EPERM", "fchownat", AT_FDCWD, path, 65534, 65534, 0)
      refused("EPERM", "setxattr", path, "user.a", "b", 1, 0)
      refused("EPERM", "truncate", path, 0)
      refused("EPERM", "utimensat", AT_FDCWD, path, 0, 0)
      -- To type into the terminal, where a shell reads it.
      refused("EPERM", "ioctl", 0, TIOCSTI, "x")
      -- Others of the user.
      refused("EPERM", "prlimit64", server.pid + 1, RLIMIT_NOFILE, 0, 0)
      refused("EPERM", "setpriority", 0, server.pid, 19)
      refused("EPERM", "sched_setaffinity", server.pid, 8, "\1" .. NUL:rep(7))
      refused("EPERM", "shmget", 0, 4096, O_CREAT)
      refused("EPERM", "msgget", 0, O_CREAT)
      refused("EPERM", "process_vm_readv", server.pid, 0, 0, 0, 0, 0)
      -- What seldom anybody needs, and has had holes.
      refused("EAFNOSUPPORT", "socket", AF_ALG, STREAM, 0)
      refused("EAFNOSUPPORT", "socket", AF_VSOCK, STREAM, 0)
      refused("EAFNOSUPPORT", "socketpair", AF_TIPC, STREAM, 0, NUL:rep(8))
      refused("EPROTONOSUPPORT", "socket", AF_INET, STREAM, IPPROTO_SCTP)
      refused("EPROTONOSUPPORT", "socket", AF_INET, RAW, 1)
      refused("EPROTONOSUPPORT", "socket", AF_NETLINK, RAW, NETLINK_NETFILTER)
      refused("EPROTONOSUPPORT", "socket", AF_NETLINK, RAW, NETLINK_XFRM) -- the number of TCP
      refused("ENOSYS", "io_uring_setup", 8, NUL:rep(200))
      refused("ENOSYS", "splice", 0, 0, 1, 0, 1, 0)
      refused("ENOSYS", "io_setup", 1, NUL:rep(8))
      refused("EPERM", "bpf", 0, 0, 0)
      refused("EPERM", "keyctl", 0, 0)
      refused("EPERM", "userfaultfd", 0)
      refused("EPERM", "unshare", CLONE_NEWUSER)
      refused("ENOSYS", 452, AT_FDCWD, path, 511, 0) -- fchmodat2, and whatever is newer than the list
      assert.same(expected, post(server, target, list))
      assert.equal("kept", folders.read(path))
    end)
  end

  it("signals nobody else, nor lets the kernel do it, but where --inspect asks the others", function()
    for given, expected in pairs { [""] = "EPERM", ["--workers 1"] = "EPERM", ["--inspect=127.0.0.1:0"] = 0 } do
      local server <close> = served.start(files, options .. " " .. given)
      local other = tonumber(lfs.symlinkattributes("/proc/self").target)
      local socket = post(server, "/", { { "socket", AF_UNIX, STREAM, 0 } })[1]
      local sent = post(server, "/", { { "kill", other, 0 }, { "kill", 0, 0 }, { "tkill", other, 0 },
        { "fcntl", socket, F_SETOWN, other } })
      assert.same({ expected, expected, expected, expected }, sent, given)
    end
  end)

  it("reaches no abstract socket", function()
    if version < 6 then return pending "Landlock cannot forbid it here" end
    local name = "\1" .. NUL .. NUL .. "moonloop/" -- AF_UNIX, and the name of a process's socket
    for given, expected in pairs { [""] = "EPERM", ["--workers 1"] = "EPERM", ["--inspect=127.0.0.1:0"] = 0 } do
      local server <close> = served.start(files, options .. " " .. given)
      local address = name .. tonumber(lfs.symlinkattributes("/proc/self").target)
      local socket = post(server, "/", { { "socket", AF_UNIX, STREAM, 0 } })[1]
      assert.same({ expected }, post(server, "/", { { "connect", socket, address, #address } }), given)
    end
  end)

  it("has of root's capabilities only that over permissions of files, and that to listen on low ports", function()
    local server <close> = served.start(files, options)
    local mask = tonumber(json.decode(server:get "/capabilities".body).effective, 16)
    assert.equal(0, mask & ~0x402)
  end)

  it("has no thread that is not limited", function()
    for _, given in ipairs { "", "--workers 1", "--listen localhost:0" } do
      local server <close> = given:find "listen" and served.start_at(given, files, options)
        or served.start(files, options .. " " .. given)
      assert.equal('{"unlimited":0}', server:get "/threads".body)
    end
  end)
end)

-- What is open in /etc by its name, or below it.
local SETTINGS = {
  "ld.so.cache", "localtime", "timezone", "locale.alias", "passwd", "group", "nsswitch.conf", "hosts", "host.conf",
  "resolv.conf", "gai.conf", "networks", "protocols", "services", "os-release", "mime.types", "krb5.conf",
  "krb5.conf.d/", "gss/", "postgresql-common/pg_service.conf", "ssl/openssl.cnf", "ssl/cert.pem", "ssl/ca-bundle.pem",
  "ssl/certs/", "ca-certificates/", "crypto-policies/", "pki/tls/openssl.cnf", "pki/tls/cert.pem", "pki/tls/certs/",
  "pki/ca-trust/",
}

local function is_setting(path)
  for _, name in ipairs(SETTINGS) do
    if path == "/etc/" .. name or name:find "/$" and path:find("/etc/" .. name, 1, true) == 1 then return true end
  end
  return false
end

--- The files below a folder, without links, which lead elsewhere.
local function files_below(folder, list)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    local mode = name ~= "." and name ~= ".." and lfs.symlinkattributes(path, "mode")
    if mode == "file" then list[#list + 1] = path end
    if mode == "directory" and lfs.dir(path) then files_below(path, list) end
  end
  return list
end

describe("an app in the sandbox", function()
  if not version then return pending "this kernel has no Landlock" end

  it("reads what libraries need of /etc, and no passwords, keys or settings of others", function()
    local server <close> = served.start(files, options)
    local res = assert(web.post(server.port, "/opened", json.encode(files_below("/etc", {})),
      "Content-Type: application/json\r\n"))
    local opened = {}
    for _, path in ipairs(json.decode(res.body).opened) do
      opened[path] = true
      assert(is_setting(path), path .. " is open")
    end
    for _, name in ipairs { "passwd", "hosts", "ssl/openssl.cnf", "ssl/certs/ca-certificates.crt" } do
      local path = "/etc/" .. name
      assert.equal(lfs.symlinkattributes(path, "mode") == "file", opened[path] ~= nil, path)
    end
    local of_others = { "/proc/sys/net/ipv4/tcp_fastopen_key", "/proc/1/environ", "/proc/1/cmdline",
      ("/proc/%s/environ"):format(lfs.symlinkattributes("/proc/self").target) }
    res = assert(web.post(server.port, "/opened", json.encode(of_others), "Content-Type: application/json\r\n"))
    assert.same({}, json.decode(res.body).opened)
  end)

  it("looks names up, and knows its time zone", function()
    local server <close> = served.start(files, options)
    assert.equal(json.encode(assert(ml.net.resolve "localhost")), server:get "/resolve?name=localhost".body)
    assert.equal(json.encode { os.date "%Z %z" }, server:get "/zone".body)
  end)

  it("says why names are not found any more, where a file that says whom to ask has been replaced", function()
    for _, name in ipairs { "resolv.conf", "hosts" } do
      local texts = { hosts = "127.0.0.1 here.test", ["nsswitch.conf"] = "hosts: files dns",
        ["resolv.conf"] = "nameserver 127.0.0.1" }
      texts.new = texts[name]
      local etc <close> = folders.new(texts)
      local server <close> = served.start_at("--port 0", files, options, "--etc " .. etc.path .. " ")
      if not server.line and server:errors():find "^%-%-etc: " then return pending "nothing can be mounted here" end
      assert.equal('["127.0.0.1"]', server:get "/resolve?name=here.test".body)
      assert.equal('["dns"]', server:get "/resolve?name=nowhere.test".body)
      assert.equal("", server:errors())
      assert(os.rename(etc.path .. "/new", etc.path .. "/" .. name))
      for _ = 1, 2 do assert.equal('["dns"]', server:get "/resolve?name=nowhere.test".body) end
      local said = server:wait_for("without /etc/" .. name .. ", which may not be read")
      assert.equal(1, select(2, said:gsub("may not be read", "")))
    end
  end)

  it("says why a new database cannot be made where it may not write", function()
    local outside <close> = folders.new({}, OUTSIDE)
    local server <close> = served.start(files, options)
    assert.equal("made", server:get "/database?path=new.db".body)
    local path = outside.path .. "/new.db"
    local why = "%s: unable to open database file (it is not there, and cannot be made in %s: see who may write there, "
      .. "and --sandbox)"
    assert.equal(why:format(path, outside.path), server:get("/database?path=" .. path).body)
  end)

  it("verifies certificates", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local made <close> = tls.certificates { one = {} }
    local server <close> = served.start(files, options)
    local peer <close> = served.start({ ["app.lua"] = 'return require "moonloop".web.app()' },
      ("--tls-cert '%s' --tls-key '%s'"):format(made.one.cert, made.one.key))
    server:write("ca.crt", folders.read(made.ca))
    local target = "/https?url=https://127.0.0.1:" .. peer.port
    assert.equal("[404]", server:get(target .. "&ca=ca.crt").body)
    assert.equal('["BAD_CERTIFICATE"]', server:get(target).body)
  end)

  it("changes permissions where it may write, and of its sockets", function()
    local outside <close> = folders.new({ file = "" }, OUTSIDE)
    local server <close> = served.start(files, options)
    assert.equal("[416]", server:get "/chmod?path=inside".body)
    assert.equal('["EACCES"]', server:get("/chmod?path=" .. outside.path .. "/file").body)
    assert.equal(1000, json.decode(server:get "/utime?path=inside".body)[1])
    assert.equal('["EACCES"]', server:get("/utime?path=" .. outside.path .. "/file").body)
    assert.equal("[384]", server:get "/listen".body)
  end)

  it("has threads that are nicer than its loop", function()
    local server <close> = served.start(files, options)
    local own = tonumber((processes.sh "nice"))
    assert.is_true(json.decode(server:get "/nice".body)[1] > own)
  end)

  it("speaks TCP, and asks the kernel about networks", function()
    local server <close> = served.start(files, options)
    for _, fd in ipairs(post(server, "/", { { "socket", AF_INET, STREAM, IPPROTO_TCP },
      { "socket", AF_NETLINK, RAW, 0 }, { "socket", AF_UNIX, STREAM, 0 } })) do
      assert.is_number(fd)
    end
  end)

  it("is served below the filters of the units in the documentation, which forbid some calls", function()
    if processes.sh "id -u":find "^0" == nil then return pending "only root becomes another user" end
    for _, given in ipairs { "", "--workers 1 " } do
      local server <close> = served.start_at("--port 0", files, "--user nobody " .. given .. options, "--filtered ")
      assert.equal('{"unlimited":0}', server:get "/threads".body)
    end
  end)

  it("is not served where '/' would be opened, and with it everything", function()
    local folder <close> = folders.new(files)
    for where, given in pairs { ["/"] = "", [folder.path] = "--sandbox-read /" } do
      local output, status = processes.sh(("cd '%s' && timeout 60 '%s' serve '%s/app.lua' --port 0 --sandbox %s")
        :format(where, common.binary, folder.path, given))
      assert.matches("^moonloop: %-%-sandbox: it would open '/', and with it everything", output)
      assert.equal(1, status)
    end
  end)
end)
