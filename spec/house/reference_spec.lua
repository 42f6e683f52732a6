-- doc/reference/ against the code, both ways: every name and option that the code knows is on its page,
-- every one on a page exists, and the examples run.
local ml = require "moonloop"
local clock = require "moonloop.clock"
local examples = require "spec.support.examples"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local reference = require "spec.support.reference"
local support = require "spec.support"
local web = require "spec.support.web"

local pages = {}
for _, file in ipairs(reference.files()) do pages[file] = reference.page(file) end

local function keys(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

--- Raises what one of the sets has and the other has not.
local function compare(documented, offered, where)
  local lines = {}
  for _, name in ipairs(keys(offered)) do
    if not documented[name] then lines[#lines + 1] = ("%s: '%s' is not on the page"):format(where, name) end
  end
  for _, name in ipairs(keys(documented)) do
    if not offered[name] then lines[#lines + 1] = ("%s: '%s' is only on the page"):format(where, name) end
  end
  if lines[1] then error(table.concat(lines, "\n"), 0) end
end

-- --- names ---

-- Reachable by an index, but for the host alone.
local internal = {
  ["http.md client"] = { trusts = true },
  ["http.md res"] = { head = true, preamble = true },
  ["executor.md call"] = { line = true, is_read = true },
  ["web-request.md part"] = { stream = true },
  ["web.md server"] = { ends_with_process = true, log = true, take_entries = true, route_by = true,
    memory = true },
}

--- The names of `owner` on the page, without those of its own objects ("ml.http.get" is not "http" of ml).
local function documented(page, owner)
  local names = {}
  for _, name in ipairs(page.names) do
    local own = name:match("^" .. owner:gsub("%.", "%%.") .. "%.([%w_]+)$")
    if own then names[own] = true end
  end
  return names
end

--- Compares the names of `owner` on the page with what the objects have together, of their own only where
-- `whole`: what lies in an app or a client is its state.
local function check_names(file, owner, whole, ...)
  local where = file .. " " .. owner
  local names, offered = documented(pages[file], owner), {}
  for _, object in ipairs { ... } do
    for name in pairs(reference.members(object, whole)) do offered[name] = true end
    for name in pairs(names) do
      if object[name] ~= nil then offered[name] = true end
    end
  end
  for name in pairs(internal[where] or {}) do offered[name] = nil end
  compare(names, offered, where)
end

describe("the names of", function()
  it("ml are on its page", function()
    local offered = reference.members(ml, true)
    for _, module in ipairs { "http", "json", "executor", "web", "redis", "sql", "jobs", "schema", "password", "jwt",
      "fs", "net", "process", "settings", "time", "trace", "signal", "ws", "log", "metrics" } do
      assert(offered[module])
      offered[module] = nil
    end
    compare(documented(pages["ml.md"], "ml"), offered, "ml.md ml")
    assert.is_true(pages["errors.md"].has["ml.is_error"])
  end)

  it("the objects of ml are on its page", function()
    check_names("ml.md", "task", true, ml.current())
    ml.group(function(g) check_names("ml.md", "group", true, g) end)
    local deadline <close> = ml.deadline(nil)
    check_names("ml.md", "deadline", true, deadline)
    for _, name in ipairs { "future", "event", "lock", "queue" } do check_names("ml.md", name, true, ml[name]()) end
    check_names("ml.md", "semaphore", true, ml.semaphore(1))
    check_names("ml.md", "var", true, ml.var "name")
  end)

  it("the entries of ml.tasks are on its page", function()
    local child = ml.spawn(ml.sleep, 1000)
    ml.sleep(0)
    check_names("ml.md", "entry", true, table.unpack(ml.tasks()))
    child:cancel()
  end)

  for _, module in ipairs { "http", "json", "executor", "redis", "sql", "jobs", "schema", "password", "process", "jwt",
    "fs", "net", "time", "signal", "trace", "log", "metrics" } do
    it("ml." .. module .. " are on its page", function()
      check_names(module .. ".md", "ml." .. module, true, ml[module])
    end)
  end

  it("ml.web are on its pages", function()
    local names = {}
    for _, file in ipairs { "web.md", "web-app.md", "web-typed.md", "web-response.md", "web-middleware.md",
      "web-dependencies.md", "web-hub.md", "web-sessions.md", "web-test.md",
      "web-templates.md" } do
      for name in pairs(documented(pages[file], "ml.web")) do
        assert.is_nil(names[name], name .. " is on two pages")
        names[name] = true
        assert(pages[file] == pages["web.md"] or folders.read(reference.FOLDER .. "web.md")
          :find("`ml.web." .. name .. "`", 1, true), "web.md does not say where " .. name .. " is")
      end
    end
    names.security = true -- its names are on its own page
    compare(names, reference.members(ml.web, true), "ml.web")
  end)

  it("ml.web.security are on its page", function()
    check_names("web-security.md", "ml.web.security", true, ml.web.security)
  end)

  it("the test client is on its page", function()
    local c <close> = ml.web.test(ml.web.app())
    check_names("web-test.md", "c", false, c)
  end)

  it("the objects of ml.trace are on its page", function()
    check_names("trace.md", "span", true, ml.trace.current())
    check_names("trace.md", "stats", true, ml.trace.stats())
  end)

  it("the objects of ml.executor are on its page", function()
    local pool <close> = ml.executor.new { threads = 1 }
    check_names("executor.md", "pool", true, pool)
    check_names("executor.md", "stats", true, pool:stats())
    local call = pool:start(function() end)
    check_names("executor.md", "call", true, call)
    call:await()
    local job = pool:run(function(words)
      local job, members = require "moonloop".executor.current(), {}
      for _, word in ipairs(words) do
        if job[word] ~= nil then members[word] = true end
      end
      return members
    end, reference.words())
    compare(documented(pages["executor.md"], "job"), job, "executor.md job")
  end)

  it("the objects of ml.http are on its page", function()
    local app = ml.web.app()
    app:get("/", function() return "here" end)
    web.serving(app, function(port)
      local client <close> = ml.http.client()
      check_names("http.md", "client", false, client)
      check_names("http.md", "res", true, assert(client:get("http://127.0.0.1:" .. port)))
    end)
  end)

  it("the objects of ml.net are on its page, and that of streams", function()
    local server <close> = assert(ml.net.listen("127.0.0.1", 0))
    local conn <close> = assert(ml.net.connect(server:address()))
    local udp <close> = assert(ml.net.udp())
    conn.timeout = 60
    check_names("net.md", "server", false, server)
    check_names("net.md", "socket", false, udp)
    local offered = reference.members(conn, true)
    for name in pairs(documented(pages["net.md"], "conn")) do
      assert(offered[name], name)
      offered[name] = nil
    end
    compare(documented(pages["stream.md"], "s"), offered, "stream.md s")
  end)

  it("the objects of ml.ws are on its page", function()
    local answer = "Sec-WebSocket-Protocol: chat\r\n"
    local _ <close>, url = require "spec.support.ws_peer".listen(function(peer) peer:over() end, answer)
    local ws <close> = assert(ml.ws.connect(url, { protocols = { "chat" } }))
    check_names("websocket.md", "ml.ws", false, ml.ws)
    check_names("websocket.md", "ws", true, ws)
  end)

  it("the objects of ml.fs are on its page", function()
    local folder <close> = assert(ml.fs.temp_dir())
    check_names("fs.md", "dir", false, folder)
    check_names("fs.md", "about", true, assert(ml.fs.stat(folder.path)))
    local file <close> = assert(ml.fs.open(folder.path .. "/a", "w"))
    file.timeout = 60
    local own = reference.members(file, true)
    for name in pairs(documented(pages["stream.md"], "s")) do own[name] = nil end
    compare(documented(pages["fs.md"], "file"), own, "fs.md file")
    for entry in ml.fs.walk(folder.path) do check_names("fs.md", "entry", true, entry) end
    local watch <close> = assert(ml.fs.watch(folder.path))
    check_names("fs.md", "watch", true, watch)
    assert(ml.fs.rename(folder.path .. "/a", folder.path .. "/b"))
    check_names("fs.md", "event", true, watch:next())
  end)

  it("the objects of ml.process are on its page", function()
    local p <close> = assert(ml.process.spawn { "true" })
    check_names("process.md", "p", false, p)
    check_names("process.md", "result", true, assert(ml.process.run { "true" }), { signal = "TERM" })
  end)

  it("schemas are on schema.md", function()
    local schema = ml.schema.any()
    local offered = reference.members(getmetatable(schema).__index, true)
    compare(documented(pages["schema.md"], "schema"), offered, "schema.md")
  end)

  it("the objects of ml.redis are on its page", function()
    local redis <close> = ml.redis.client "redis://"
    -- Every name is a command; of the others it is told where they are defined.
    local own = {}
    for _, word in ipairs(reference.words()) do
      local source = redis[word] and debug.getinfo(redis[word], "S").source
      if source and source:find "redis/%l+%.lua" and not source:find "commands%.lua" then own[word] = true end
    end
    own.call = redis.call and true
    compare(documented(pages["redis.md"], "r"), own, "redis.md r")
    for name in pairs(documented(pages["redis.md"], "cluster")) do
      assert(require "moonloop.redis.cluster".methods[name], name)
    end
    local cache = redis:cache { ttl = 1 }
    check_names("redis.md", "cache", false, cache)
    for name in pairs(documented(pages["redis.md"], "lock")) do
      assert(folders.read "scripts/moonloop/redis/lock.lua":find("function Lock:" .. name, 1, true), name)
    end
  end)

  it("the objects of ml.sql are on its page", function()
    local db = ml.sql.open "sqlite::memory:"
    local statements = documented(pages["sql.md"], "db")
    local own = reference.members(db, true)
    own.lease, own.guard = nil, nil -- the layer's own
    compare(statements, own, "sql.md db")
    for _, name in ipairs { "begin", "session", "listen", "migrate", "stats", "close" } do statements[name] = nil end
    local in_tx = documented(pages["sql.md"], "tx")
    for name in pairs(statements) do in_tx[name] = true end
    local function methods(object)
      local names = {}
      for name in pairs(reference.members(object, true)) do names[name] = type(object[name]) == "function" or nil end
      names.enter, names.finish = nil, nil -- internal
      return names
    end
    db:tx(function(tx) compare(in_tx, methods(tx), "sql.md tx") end)
    db:session(function(conn) compare(statements, methods(conn), "sql.md conn") end)
    db:close()
  end)

  it("the objects of ml.jobs are on its page", function()
    local db = ml.sql.open "sqlite::memory:"
    local jobs = ml.jobs.new(db)
    check_names("jobs.md", "jobs", false, jobs)
    jobs:define("a", { keep = 100 }, function(_, job)
      check_names("jobs.md", "job", true, job)
      return nil, "no"
    end)
    local worker = jobs:work()
    check_names("jobs.md", "worker", false, worker)
    worker:stop()
    local entries = { assert(jobs:get(assert(jobs:push("a", 1, { unique = "k", delay = 60 })))) }
    local others = { started_at = 1, finished_at = 1, cancelling = true, progress = 1 } -- of other states
    check_names("jobs.md", "entry", true, entries[1], others)
    db:close()
  end)

  it("apps and servers are on their pages", function()
    local app = ml.web.app()
    app.state = {}
    web.serving(app, function(_, server)
      check_names("web-app.md", "app", false, app)
      check_names("web.md", "server", false, server)
    end)
    check_names("web.md", "signer", false, ml.web.signer(ml.web.token()))
  end)

  it("templates are on their page", function()
    local folder <close> = folders.new {}
    check_names("web-templates.md", "templates", false, ml.web.templates(folder.path))
  end)

  it("hubs are on their page", function() check_names("web-hub.md", "hub", false, ml.web.hub {}) end)

  it("sessions are on their page", function()
    local app, session = ml.web.app(), nil
    app:use(ml.web.sessions {})
    app:get("/", function(req) session = ml.web.session(req) end)
    web.serving(app, function(port) assert(web.get(port, "/")) end)
    check_names("web-sessions.md", "session", false, session)
  end)

  it("requests, parts and streams are on their pages", function()
    local app, members, failure = ml.web.app(), {}, nil
    app:post("/", function(req)
      for part in req:parts() do
        failure = failure or select(2, pcall(check_names, "web-request.md", "part", true, part))
      end
    end)
    app:get("/", { query = {} }, function(req)
      members = reference.members(req)
      members.tls = true -- if the connection has it
      failure = failure or select(2, pcall(check_names, "web-request.md", "query", true, req.query))
      return ml.web.response { stream = function(out)
        failure = failure or select(2, pcall(check_names, "web-response.md", "out", true, out))
      end }
    end)
    web.serving(app, function(port)
      local client <close> = ml.http.client { base_url = "http://127.0.0.1:" .. port }
      assert(client:get("/"))
      assert(client:post("/", { multipart = { photo = { filename = "a", body = "b" } } }))
    end)
    if failure then error(failure, 0) end
    compare(documented(pages["web-request.md"], "req"), members, "web-request.md req")
  end)

  it("responses are on their page", function()
    check_names("web-response.md", "res", true, ml.web.response { json = 1 }, ml.web.response { file = "x" },
      ml.web.response { stream = print })
  end)

  it("the access log's entries are on their page", function()
    local entries, seen = {}, ml.event()
    local app = ml.web.app { access_log = function(entry)
      for name in pairs(entry) do entries[name] = true end
      if entry.request then seen:set() end
    end }
    app:get("/", function() return "here" end)
    web.serving(app, function(port)
      assert(web.get(port, "/", "Referer: there\r\nUser-Agent: spec\r\n"))
      web.ask(port, "nonsense\r\n\r\n")
      assert(ml.timeout(100, function() seen:wait() return true end))
    end)
    entries.worker, entries.pid = true, true -- in a worker process only
    entries.trace_id = true -- in a trace only
    compare(documented(pages["web.md"], "entry"), entries, "web.md entry")
  end)

  it("the clock are on the page of testing", function()
    check_names("testing.md", "clock", true, clock)
  end)

  it("moonloop.h are on its page", function()
    local header, offered = folders.read "host/include/moonloop.h":gsub("/%*.-%*/", ""), {}
    for name in header:gmatch "%f[%w_](ml_[a-z_]+)%(" do offered[name] = true end
    for name in header:gmatch "%f[%w_](ml_%u%a+)" do offered[name] = true end
    for name in header:gmatch "#define (ML_%u+) %(" do offered[name] = true end
    compare(pages["c-api.md"].has, offered, "c-api.md")
  end)
end)

--- The error of a write to a stream that is closed.
local function unwritten()
  local socket = assert(ml.net.listen("127.0.0.1", 0))
  local conn = assert(ml.net.connect(socket:address()))
  conn:close()
  socket:stop()
  return select(2, conn:write "x")
end

describe("the fields of error objects", function()
  it("that errors.md names exist", function()
    local function failure(f, ...) return select(2, pcall(f, ...)) end
    local task = ml.spawn(ml.sleep, 1000)
    task:cancel("why")
    local objects = {
      failure(task.await, task),
      failure(ml.any, error, error),
      failure(ml.web.abort, 404),
      ml.gather({ error }, { return_errors = true })[1],
      select(2, ml.json.decode "["),
      select(2, ml.http.get "http://127.0.0.1:1/"),
      select(2, ml.fs.read "/no/such/file"),
      select(2, ml.process.run { "false", check = true }),
      (unwritten()),
    }
    local migrations <close> = folders.new { ["1_a.sql"] = "select wrong" }
    local db = ml.sql.open "sqlite::memory:"
    objects[#objects + 1] = select(2, db:migrate(migrations.path))
    db:close()
    local names = documented(pages["errors.md"], "err")
    names.headers = nil -- set by a script
    for name in pairs(names) do
      local exists = false
      for _, object in ipairs(objects) do exists = exists or object[name] ~= nil end
      assert(exists, "no error has the field " .. name)
    end
    for _, object in ipairs(objects) do
      for name in pairs(object) do assert(names[name], "errors.md does not have the field " .. name) end
    end
  end)
end)

describe("errors.md", function()
  it("lists the kinds of error that the code makes", function()
    local text = folders.read(reference.FOLDER .. "errors.md"):match "## Kinds\n(.-)\n## "
    local listed, made = {}, {}
    for kind in text:gmatch '\n| `"(%l+)"` |' do listed[kind] = true end
    for _, pattern in ipairs {
      'ml_error_%l+%([^";]-"(%l+)",', 'fail%([^";]-"(%l+)", "?[%u_]', 'refuse%([^";]-"(%l+)",', 'ENTRY%("(%l+)"',
      'kind = "(%l+)"',
    } do
      for _, code in ipairs(reference.sources()) do
        for kind in code:gmatch(pattern) do made[kind] = true end
      end
    end
    compare(listed, made, "errors.md")
  end)
end)

-- --- options ---

describe("the options of", function()
  local url = "http://127.0.0.1:1/"

  local function check(file, heading, call)
    it(heading .. " are on " .. file, function()
      compare(pages[file].options[heading] or {}, reference.options(call), file .. " " .. heading)
    end)
  end

  check("net.md", "TLS", function(opts) ml.net.connect("127.0.0.1", 1, { tls = opts }) end)
  check("net.md", "ml.net.connect", function(opts) ml.net.connect("127.0.0.1", 1, opts) end)
  check("net.md", "ml.net.listen", function(opts) ml.net.listen("127.0.0.1", 0, opts) end)
  check("net.md", "ml.net.udp", function(opts) ml.net.udp(opts) end)
  check("net.md", "ml.net.resolve", function(opts) ml.net.resolve("127.0.0.1", opts) end)
  check("ml.md", "ml.gather", function(opts) ml.gather({}, opts) end)
  check("ml.md", "ml.map", function(opts) ml.map({}, print, opts) end)
  check("ml.md", "ml.wait", function(opts) ml.wait({}, opts) end)

  check("fs.md", "ml.fs.write", function(opts) ml.fs.write("/none/x", "", opts) end)
  check("fs.md", "ml.fs.remove", function(opts) ml.fs.remove("/none/x", opts) end)
  check("fs.md", "ml.fs.mkdir", function(opts) ml.fs.mkdir("/none/x", opts) end)
  check("fs.md", "ml.fs.walk", function(opts) ml.fs.walk("/none/x", opts) end)
  check("fs.md", "ml.fs.watch", function(opts) ml.fs.watch("/none/x", opts) end)

  check("http.md", "ml.http.get", function(opts) ml.http.get(url, opts) end)
  check("http.md", "ml.http.client", ml.http.client)
  check("http.md", "Hooks", function(opts) ml.http.client { hooks = opts } end)
  check("http.md", "Retries", function(opts) ml.http.client { retries = opts } end)
  check("http.md", "Multipart", function(opts) ml.http.post(url, { multipart = { x = opts } }) end)
  it("ml.http.request are on http.md", function()
    local known = reference.options(function(opts)
      opts.url = opts.url or url
      ml.http.request(opts)
    end)
    for name in pairs(pages["http.md"].options["ml.http.get"]) do known[name] = nil end
    compare(pages["http.md"].options["ml.http.request"], known, "http.md ml.http.request")
  end)

  check("websocket.md", "ml.ws.connect", function(opts) ml.ws.connect("ws://127.0.0.1:1/", opts) end)

  check("redis.md", "ml.redis.client", function(opts) ml.redis.client("redis://", opts) end)
  for name, call in pairs {
    ["r:multi"] = function(r, opts) r:multi(opts, print) end,
    ["r:scan"] = function(r, opts) r:scan("*", opts) end,
    ["r:lock"] = function(r, opts) r:lock("name", opts) end,
    ["r:cache"] = function(r, opts) r:cache(opts) end,
    ["r:group"] = function(r, opts) r:group("stream", "group", opts) end,
  } do
    check("redis.md", name, function(opts)
      local r = ml.redis.client "redis://"
      r:close()
      call(r, opts)
    end)
  end

  local database -- one for all: a call that raises closes none
  setup(function() database = ml.sql.open "sqlite::memory:" end)
  teardown(function() database:close() end)
  for name, call in pairs {
    ["ml.jobs.new"] = function(db, opts) ml.jobs.new(db, opts) end,
    ["jobs:define"] = function(db, opts) ml.jobs.new(db):define("a", opts, print) end,
    ["jobs:every"] = function(db, opts)
      local jobs = ml.jobs.new(db)
      jobs:define("a", print)
      jobs:every(60, "a", nil, opts)
    end,
    ["jobs:work"] = function(db, opts) ml.jobs.new(db):work(opts) end,
    ["jobs:list"] = function(db, opts) ml.jobs.new(db):list(opts) end,
    ["jobs:push"] = function(db, opts)
      local jobs = ml.jobs.new(db)
      jobs:define("a", print)
      jobs:push("a", nil, opts)
    end,
  } do
    check("jobs.md", name, function(opts) call(database, opts) end)
  end

  check("schema.md", "ml.schema.from_json_schema", function(opts) ml.schema.from_json_schema({}, opts) end)
  for name, call in pairs {
    string = ml.schema.string, int = ml.schema.int,
    list = function(opts) ml.schema.list(ml.schema.any(), opts) end,
    file = ml.schema.file,
    map = function(opts) ml.schema.map(ml.schema.any(), opts) end,
    object = function(opts) ml.schema.object({}, opts) end,
  } do
    it("ml.schema." .. name .. " are on schema.md", function()
      local page = pages["schema.md"].options
      local known = {}
      for _, heading in ipairs { "ml.schema." .. name, "Options of every type" } do
        for option in pairs(page[heading]) do known[option] = true end
      end
      compare(known, reference.options(call), "schema.md ml.schema." .. name)
    end)
  end

  local verify_opts = { algorithms = { "ES256" } }
  check("jwt.md", "ml.jwt.sign", function(opts) ml.jwt.sign({}, ("x"):rep(32), opts) end)
  check("jwt.md", "ml.jwt.verify", function(opts) ml.jwt.verify("a.b.c", opts) end)
  check("jwt.md", "Sets of keys", function(opts)
    verify_opts.jwks = opts
    ml.jwt.verify("a.b.c", verify_opts)
  end)

  check("settings.md", "ml.settings", function(opts)
    opts.schema = opts.schema or {}
    ml.settings(opts)
  end)

  check("executor.md", "ml.executor.new", ml.executor.new)
  check("executor.md", "pool:map", function(opts) ml.executor.default():map({}, print, opts) end)

  it("ml.web.listen and ml.web.app are on web.md", function()
    local page = pages["web.md"]
    local app, limits = {}, {}
    for name in pairs(page.options["Limits"]) do app[name], limits[name] = true, true end
    for name in pairs(page.options["ml.web.listen"]) do limits[name] = true end
    for _, name in ipairs { "access_log", "trusted_proxies", "proxy_protocol", "root_path" } do app[name] = true end
    for name in pairs(pages["web-openapi.md"].options["Apps"]) do app[name] = true end
    for name in pairs(pages["web-app.md"].options["ml.web.app"]) do app[name] = true end
    compare(app, reference.options(ml.web.app), "web.md ml.web.app")
    compare(limits, reference.options(function(opts) ml.web.listen(ml.web.app(), opts) end), "web.md ml.web.listen")
    local test = {}
    for name in pairs(page.options["Limits"]) do test[name] = true end
    for name in pairs(pages["web-test.md"].options["ml.web.test"]) do test[name] = true end
    compare(test, reference.options(function(opts) ml.web.test(ml.web.app(), opts) end), "web-test.md ml.web.test")
  end)

  it("those of requests of the test client are on web-test.md and http.md", function()
    local known = { cookies = pages["web-test.md"].options["c:request"].cookies }
    for name in pairs(pages["http.md"].options["ml.http.get"]) do known[name] = true end
    local c <close> = ml.web.test(ml.web.app())
    compare(known, reference.options(function(opts) c:get("/", opts) end), "web-test.md c:get")
  end)

  check("web.md", "ml.web.signer", function(opts) ml.web.signer(ml.web.token(), opts) end)

  it("routes are on web-app.md and web-openapi.md", function()
    local known = {}
    for _, options in ipairs { pages["web-app.md"].options["app:get"], pages["web-openapi.md"].options["Routes"] } do
      for name in pairs(options) do known[name] = true end
    end
    compare(known, reference.options(function(opts) ml.web.app():get("/", opts, print) end), "routes")
  end)

  check("web-app.md", "app:static", function(opts) ml.web.app():static("/", ".", opts) end)
  check("web-app.md", "app:validation_error", function(opts)
    opts.make = opts.make or print
    ml.web.app():validation_error(opts)
  end)
  check("web-response.md", "ml.web.response", ml.web.response)
  check("web-response.md", "ml.web.redirect", function(opts) ml.web.redirect("/", opts) end)
  check("web-response.md", "ml.web.file", function(opts) ml.web.file("x", opts) end)
  check("web-response.md", "ml.web.events", function(opts) ml.web.events(print, opts) end)
  check("web-response.md", "res:set_cookie", function(opts) ml.web.response {}:set_cookie("a", "b", opts) end)
  check("web-templates.md", "ml.web.templates", function(opts) ml.web.templates("spec", opts) end)
  check("web-middleware.md", "ml.web.cors", ml.web.cors)
  check("web-dependencies.md", "ml.web.dependency", function(opts)
    opts[1] = print
    ml.web.dependency(opts)
  end)
  check("web-middleware.md", "ml.web.compress", ml.web.compress)
  check("web-middleware.md", "ml.web.request_id", ml.web.request_id)
  for _, class in ipairs { "bearer", "oauth2_password", "basic", "api_key" } do
    it("ml.web.security." .. class .. " are on web-security.md", function()
      local page, known = pages["web-security.md"].options, {}
      for _, heading in ipairs { "ml.web.security." .. class, "Options of every scheme" } do
        for option in pairs(page[heading]) do known[option] = true end
      end
      compare(known, reference.options(ml.web.security[class]), "web-security.md " .. class)
    end)
  end
  check("web-hub.md", "ml.web.hub", ml.web.hub)
  check("web-hub.md", "hub:publish", function(opts) ml.web.hub {}:publish("a", "b", "text", opts) end)
  check("web-sessions.md", "ml.web.sessions", ml.web.sessions)
  check("web-sessions.md", "ml.web.csrf", ml.web.csrf)
  check("web-sessions.md", "ml.web.rate_limit", ml.web.rate_limit)

  it("events that are sent are on web-response.md", function()
    local known
    local out = { write = function() end }
    ml.web.events(function(send) known = reference.options(send) end, { ping = math.huge }).stream(out)
    compare(pages["web-response.md"].options["send"], known, "web-response.md send")
  end)

  it("JSON and forms are on web-request.md", function()
    local app, form, parts, json = ml.web.app(), nil, nil, nil
    app:post("/", function(req)
      json = reference.options(function(opts) req:json(opts) end)
      form = reference.options(function(opts) req:form(opts) end)
      parts = reference.options(function(opts) req:parts(opts) end)
    end)
    web.serving(app, function(port) assert(web.post(port, "/", "")) end)
    compare(pages["web-request.md"].options["req:json"], json, "web-request.md req:json")
    compare(pages["web-request.md"].options["req:form"], form, "web-request.md req:form")
    compare(pages["web-request.md"].options["req:parts"], parts, "web-request.md req:parts")
  end)
end)

-- --- the command line ---

describe("command-line.md", function()
  local page = pages["command-line.md"]

  local function help(arguments)
    local output, status = process.sh(("%s %s"):format(process.quote(support.binary), arguments))
    assert.equal(0, status, output)
    return output
  end

  it("has the options that the help has", function()
    local documented_options, offered = {}, {}
    for _, options in pairs(page.options) do
      for name in pairs(options) do documented_options[name] = true end
    end
    for _, command in ipairs { "", "run", "serve", "dev", "repl", "test", "ps", "migrate", "db", "jobs", "work",
      "openapi", "types", "new", "build" } do
      local text = help("help " .. command)
      for option in text:gmatch "\n +(%-%-?[%w-]*)" do offered[option] = true end
    end
    offered["--help"], offered["--version"] = nil, nil -- commands
    compare(documented_options, offered, "command-line.md")
  end)

  it("has the defaults of the server's limits, as web.md has them", function()
    local rows = folders.read(reference.FOLDER .. "command-line.md")
    local names = folders.read(reference.FOLDER .. "web.md")
    local units = { kB = 1024, MB = 1024 * 1024 }
    local missing = {}
    for name in pairs(pages["web.md"].options.Limits) do missing[name] = true end
    missing.max_per_ip = nil -- it has none
    for option, default in help "serve --help":gmatch "%-%-(%l[%l-]+) +[^\n]- %((%d+) %l[%l ]*%)\n" do
      local name = option:gsub("-", "_")
      if missing[name] then
        missing[name] = nil
        assert.equal(default, rows:match("\n| `%-%-" .. option:gsub("-", "%%-") .. " %u+` | (%d+) |"), option)
        local number, unit = names:match("\n| `" .. name .. "` | %l+ | (%d+) ?(%a*) |")
        assert.equal(tonumber(default), tonumber(number) * (units[unit] or 1), option)
      end
    end
    assert.same({}, missing)
  end)

  it("has those on the page of limits, too", function()
    local rows = folders.read(reference.FOLDER .. "limits.md"):match "\n## Of a server\n(.-)\n## "
    local units, count = { MB = 1024 * 1024 }, 0
    for option, default in help "serve --help":gmatch "%-%-(%l[%l-]+) +[^\n]- %((%d+) %l[%l ]*%)\n" do
      local name = option:gsub("-", "_")
      if pages["web.md"].options.Limits[name] then
        count = count + 1
        local number, unit = rows:match("\n| `" .. name .. "` | (%d+) ?(%a*)")
        assert.equal(tonumber(default), tonumber(number or 0) * (units[unit] or 1), name)
      end
    end
    local listed = select(2, rows:gsub("\n| `", ""))
    assert.equal(listed - 1, count) -- max_per_ip has none
  end)

  it("has the limits that are fixed, as the code has them", function()
    local text = folders.read(reference.FOLDER .. "limits.md")
    -- What begins the row, the number in it that is meant, its unit, and where the code says it.
    for _, row in ipairs {
      { "a chunk's size and extensions", 1, 1024, "host/http/http_chunks.h", "HTTP_CHUNKS_MAX_LINE" },
      { "ranges of a request", 1, 1, "host/http/http_range.h", "HTTP_MAX_RANGES" },
      { "proxies in a header", 1, 1, "host/http/server/http_forwarded.c", "MOST" },
      { "lines of the access log that wait", 1, 1 << 20, "host/http/server/access_log.h", "ACCESS_LOG_MAX" },
      { "clients of `--metrics` at a time", 1, 1, "host/serve/metrics_listener.c", "CLIENTS_MAX" },
      { "clients of `--metrics` at a time", 2, 1000, "host/serve/metrics_listener.c", "PATIENCE_MS" },
      { "clients of `--metrics` at a time", 3, 1024, "host/serve/metrics_listener.c", "HEAD_MAX" },
      { "a ClientHello", 1, 1024, "host/net/tls_hello.h", "TLS_HELLO_MAX" },
      { "pipelined requests of one connection", 1, 1, "host/http/server/http_connection.c", "MAX_IN_A_ROW" },
      { "a header of the [PROXY", 1, 1, "host/http/server/proxy_protocol.h", "PROXY_LINE_MAX" },
      { "CPU time of a task", 1, 1, "host/cli/defaults.h", "DEFAULTS_CPU_LIMIT" },
      { "steps of a text", 1, 1, "host/json/json_steps.h", "JSON_STEP" },
      { "levels", 1, 1, "host/json/json.h", "JSON_MAX_DEPTH" },
      { "values of a body, in `max_buffered`", 1, 1, "bindings/web/web_body.c", "JSON_VALUE_BYTES" },
      { "values of a body, in `max_buffered`", 2, 1024, "bindings/web/web_body.c", "JSON_COUNTED" },
      { "errors by a schema", 1, 1, "host/schema/schema.h", "SCHEMA_ERRORS_MAX" },
      { "errors by a schema", 2, 1024, "host/schema/schema_error.h", "SCHEMA_INPUT_MAX" },
      { "visits by a schema", 1, 1, "host/schema/schema_walk.c", "STEPS_SHORT" },
      { "visits by a schema", 2, 1, "host/schema/schema_walk.c", "STEPS_BYTE" },
      { "visits by a schema", 3, 1000000, "host/schema/schema_walk.c", "STEPS_MAX" },
      { "steps of a `pattern`", 1, 1, "host/schema/schema_pattern.c", "STEPS_SHORT" },
      { "steps of a `pattern`", 2, 1, "host/schema/schema_pattern.c", "STEPS_BYTE" },
      { "steps of a `pattern`", 3, 1000000, "host/schema/schema_pattern.c", "STEPS_MAX" },
      { "header lines of a part", 1, 1, "host/http/multipart.h", "MULTIPART_MAX_LINES" },
      { "`boundary`", 1, 1, "host/http/multipart.h", "MULTIPART_MAX_BOUNDARY" },
      { "streams", 2, 1, "host/http/server/http2_session.h", "HTTP2_FEW_STREAMS" },
      { "messages waiting to be received", 1, 1024, "host/websocket/ws_link.c", "MOST_INBOUND" },
      { "pings, pongs and empty fragments", 1, 1, "host/websocket/ws_reader.h", "WS_NOISE_MOST" },
      { "pings, pongs and empty fragments", 2, 1, "host/websocket/ws_reader.h", "WS_NOISE_FORGIVEN" },
      { "pings, pongs and empty fragments", 3, 1, "host/websocket/ws_reader.h", "WS_NOISE_WORTH" },
      { "answers to pings and settings", 1, 1, "host/http/server/http2_session.c", "MAX_ANSWERS" },
      { "heads and trailers of a response", 1, 1024, "host/http/client/client_limits.h", "CLIENT_MAX_HEAD" },
      { "heads and trailers of a response", 2, 1, "host/http/client/client_limits.h", "CLIENT_MAX_FIELDS" },
      { "a streamed body that is not read", 1, 1024, "host/http/client/client_limits.h", "CLIENT_MAX_UNREAD" },
      { "an HTTP/2 request that servers refuse", 1, 1, "host/http/client/client_exchange.c", "MOST_REPEATS" },
      { "compressed bytes that decode to nothing", 1, 1024, "host/http/content_coding.c", "MAX_BARREN" },
      { "what a proxy answers to CONNECT", 1, 1024, "host/http/client/client_tunnel.c", "MOST_ANSWER" },
      { "addresses of a name that are tried", 1, 1, "host/net/dial.c", "MAX_ADDRESSES" },
      { "look-ups at a time", 1, 1, "host/net/lookup.h", "LOOKUP_MOST" },
      { "cookies", 1, 1, "scripts/moonloop/http/cookies.lua", "MOST" },
      { "cookies", 2, 1024, "scripts/moonloop/http/set_cookie.lua", "MAX_SIZE" },
      { "cookies", 3, 1, "scripts/moonloop/http/cookie_jar.lua", "MAX_PER_DOMAIN" },
      { "cookies", 4, 1, "scripts/moonloop/http/cookie_jar.lua", "MAX" },
      { "cookies", 5, 86400, "scripts/moonloop/http/cookie_jar.lua", "MAX_AGE" },
      { "head of the response to `ml.ws.connect`", 1, 1024, "scripts/moonloop/websocket/init.lua", "LONGEST_HEAD" },
      { "steps of Redis's replies", 1, 1, "host/redis/redis_value.h", "REDIS_VALUE_STEP" },
      { "steps of Redis's replies", 2, 1024, "bindings/redis/redis_results.c", "LONG" },
      { "nodes of a Redis cluster", 1, 1, "scripts/moonloop/redis/cluster_nodes.lua", "MOST" },
      { "redirects of a Redis cluster", 1, 1, "scripts/moonloop/redis/cluster_route.lua", "MOST_REDIRECTS" },
      { "addresses of a PostgreSQL host", 1, 1, "host/sql/pg/pg_hosts.c", "MOST_ADDRESSES" },
      { "`max_result` of PostgreSQL and SQLite", 1, 1 << 20, "scripts/moonloop/sql/init.lua", "max_result" },
      { "other messages of PostgreSQL", 1, 1 << 20, "host/sql/pg/pg_connection_size.c", "MOST_WORDS" },
      { "`max_reply` of Redis", 1, 1 << 20, "scripts/moonloop/redis/init.lua", "max_reply" },
      { "a line of Redis", 3, 1 << 20, "host/redis/redis_link_read.c", "MOST_GREETING" },
      { "notices of a PostgreSQL server", 1, 1, "host/sql/pg/pg_dial.c", "MOST_NOTICES" },
      { "statements prepared", 1, 1, "host/sql/pg/pg_statement.h", "PG_STATEMENTS" },
      { "statements prepared", 1, 1, "host/sql/sqlite/sqlite_connection.h", "SQLITE_PREPARED" },
      { "a token", 1, 1024, "host/jwt/jwt_token.h", "JWT_TOKEN_LONGEST" },
      { "an RSA key", 1, 1, "host/jwt/jwt_key.h", "JWT_KEY_BITS_LEAST" },
      { "an RSA key", 2, 1, "host/jwt/jwt_key.h", "JWT_KEY_BITS_MOST" },
      { "keys of a set", 1, 1, "scripts/moonloop/jwt/jwks.lua", "MOST" },
      { "keys of a set", 2, 1024, "scripts/moonloop/jwt/jwks.lua", "LONGEST" },
      { "keys of a set", 3, 1, "scripts/moonloop/jwt/jwks.lua", "MOST_VALUES" },
      { "fetches of a set", 1, 1, "scripts/moonloop/jwt/jwks.lua", "PAUSE" },
      { "tokens that wait for a signature by RSA", 1, 1, "scripts/moonloop/jwt/init.lua", "MOST_SIGNING" },
      { "a password", 1, 1024, "scripts/moonloop/password/init.lua", "LONGEST" },
      { "passwords that wait", 1, 1, "host/password/password_line.h", "PASSWORD_LINE_MOST" },
      { "costs of a hash that is verified", 1, 1024, "host/password/password_hash.h", "PASSWORD_HASH_MOST_KIB" },
      { "costs of a hash that is verified", 2, 1, "host/password/password_hash.h", "PASSWORD_HASH_MOST_PASSES" },
      { "costs of a hash that is verified", 3, 1, "host/password/password_hash.h", "PASSWORD_HASH_MOST_LANES" },
      { "`max_line` of a", 1, 1024, "host/stream/stream.h", "STREAM_MAX_LINE" },
      { "`max_output` of a", 1, 1 << 20, "scripts/moonloop/process/options.lua", "MAX_OUTPUT" },
      { "changes of [watched files]", 1, 1, "host/fs/watcher.c", "MOST" },
      { "a message between workers", 1, 1 << 20, "host/serve/channel_frames.h", "CHANNEL_MESSAGE_MAX" },
      { "series of a", 1, 1, "host/metrics/metric_region.h", "METRIC_SERIES_MAX" },
      { "series of a", 2, 1, "host/metrics/metric_region.h", "METRIC_VALUE_MAX" },
      { "attributes, events of a", 1, 1, "host/trace/span.h", "SPAN_ATTRIBUTES_MAX" },
      { "attributes, events of a", 1, 1, "host/trace/span.h", "SPAN_EVENTS_MAX" },
      { "attributes, events of a", 2, 1024, "host/trace/span.h", "SPAN_TEXT_MAX" },
      { "attributes, events of a", 3, 1, "host/trace/span.h", "SPAN_NAME_MAX" },
      { "`tracestate`", 1, 1, "host/trace/trace_context.h", "TRACE_STATE_MAX" },
      { "`tracestate`", 2, 1, "host/trace/trace_context.c", "MEMBERS_MAX" },
      { "programs that ask `moonloop ps`", 1, 1, "host/inspect/inspector.c", "MAX_CLIENTS" },
      { "a text in an entry", 1, 1024, "host/log/log_format.h", "LOG_MESSAGE_MAX" },
      { "an entry", 1, 1, "host/log/log_fields.h", "LOG_FIELDS_MAX" },
      { "an entry", 2, 1024, "host/log/log_format.h", "LOG_LINE_MAX" },
      { "entries that wait for a function", 1, 1, "bindings/log/log_taker.c", "MOST_WAITING" },
      { "what waits for a slow reader", 1, 1024, "host/log/log_output.c", "MOST_WAITING" },
      { "what waits for a slow reader", 2, 1 << 20, "host/log/log_output.c", "MOST_ERRORS_WAITING" },
    } do
      local begin, which, unit, file, name = table.unpack(row)
      local cell
      for first, second in text:gmatch "\n| ([^\n|]+) | ([^\n|]+) |" do
        if first:sub(1, #begin) == begin then cell = second break end
      end
      assert(cell, begin)
      local numbers = {}
      for number in cell:gmatch "%d+" do numbers[#numbers + 1] = tonumber(number) end
      local code = "\n" .. folders.read(file)
      local value = code:match("[^%w_]" .. name .. " =? ?([%d(][^,;}/\n]*)")
      value = assert(value, name):gsub("%(size_t%)", ""):gsub("%-%-.*", ""):gsub("(%d)u", "%1")
      assert.equal(load("return " .. value)(), (numbers[which] or 0) * unit, begin .. ": " .. name .. " of " .. file)
    end
  end)

  it("has the environment variables that the code asks for", function()
    local text = folders.read(reference.FOLDER .. "command-line.md"):match "## Environment variables(.*)"
    local found = 0
    for _, pattern in ipairs { 'getenv%("([%w_]+)"', 'environment%("([%w_]+)"' } do
      for _, code in ipairs(reference.sources()) do
        for variable in code:gmatch(pattern) do
          found = found + 1
          assert(text:find("`" .. variable .. "`", 1, true), "command-line.md does not have " .. variable)
        end
      end
    end
    assert(found > 3)
  end)
end)

-- --- the pages themselves ---

describe("the reference", function()
  it("is listed in its README", function()
    local listed = { ["README.md"] = true }
    for _, target in ipairs(pages["README.md"].links) do listed[target] = true end
    for file in pairs(pages) do assert(listed[file], "README.md does not list " .. file) end
  end)

  it("has working links", function()
    for file, page in pairs(pages) do
      for _, target in ipairs(page.links) do
        local path, anchor = target:match "^([^#]*)#?(.*)$"
        if path == "" then path = file end
        if not path:find "^https?:" then
          local anchors = reference.anchors(reference.FOLDER .. path)
          assert(anchor == "" or anchors[anchor], ("%s: no such heading: %s"):format(file, target))
        end
      end
    end
  end)

  for _, file in ipairs(reference.files()) do
    if folders.read(reference.FOLDER .. file):find("\n```lua\n", 1, true) then
      for _, example in ipairs(examples.of(reference.FOLDER .. file)) do it(example.name, example.run) end
    end
  end
end)
