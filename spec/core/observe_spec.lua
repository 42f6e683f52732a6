-- What observers are told: metrics, traces and the inspector see requests, calls, statements and so on through it.
local ml = require "moonloop"
local observations = (require "spec.support" and require "observations")
local rawtcp = require("spec.support").rawtcp
local redis = require "spec.support.redis"
local sql = require "spec.support.sql"
local support = require "spec.support.web"

-- The lines of what was observed, without the clocks.
local function lines(recorder)
  local list = {}
  for line in recorder:text():gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

local function some_app()
  local app = ml.web.app()
  app:get("/users/{id}", function(req) return { id = req.params.id } end)
  app:post("/in", function(req) return req.body end)
  app:get("/fails", function() error "it fails" end)
  app:get("/stream", function()
    return ml.web.response { stream = function(out)
      out:write "abc"
      out:write "de"
    end }
  end)
  return app
end

describe("an observer", function()
  it("is told of requests: the route's template, the status, the bytes", function()
    support.serving(some_app(), function(port)
      local recorder <close> = observations.start()
      assert.equal(200, support.get(port, "/users/7?x=1").status)
      assert.equal(200, support.ask(port, support.request("POST", "/in", "Content-Length: 3\r\n", "abc")).status)
      assert.equal(404, support.get(port, "/nothing").status)
      assert.equal(405, support.ask(port, support.request("DELETE", "/in")).status)
      assert.equal("abcde", support.get(port, "/stream").body)
      assert.equal(400, support.ask(port, "nonsense\r\n\r\n").status)
      ml.sleep(0)
      local list = lines(recorder)
      assert.same({
        "began request GET /users/{id} HTTP/1.1 /users/7?x=1",
        "ended request GET /users/{id} HTTP/1.1 200 received 0 sent 10",
        "began request POST /in HTTP/1.1 /in",
        "ended request POST /in HTTP/1.1 200 received 3 sent 3",
        "began request GET - HTTP/1.1 /nothing",
        "ended request GET - HTTP/1.1 404 received 0 sent 22",
        "began request DELETE - HTTP/1.1 /in",
        "ended request DELETE - HTTP/1.1 405 received 0 sent 31",
        "began request GET /stream HTTP/1.1 /stream",
        "ended request GET /stream HTTP/1.1 200 received 0 sent 5",
      }, table.move(list, 1, #list - 2, 1, {}))
      assert.truthy(list[#list]:find "^ended request %- %- HTTP/%- 400 ", list[#list])
      assert.equal(0, recorder:under_way())
    end)
  end)

  it("is told of a request whose client has gone, without a status", function()
    local waits = ml.event()
    local app = ml.web.app()
    app:get("/wait", function()
      waits:set()
      ml.sleep(3600)
    end)
    support.serving(app, function(port)
      local recorder <close> = observations.start()
      local conn = assert(rawtcp.connect(port))
      conn:send(support.request("GET", "/wait"))
      waits:wait()
      assert.equal(1, recorder:under_way())
      conn:close()
      while recorder:under_way() > 0 do ml.sleep(0.01) end
      assert.equal("ended request GET /wait HTTP/1.1 0 received 0 sent 0", lines(recorder)[2])
    end)
  end)

  it("is told of calls of the client, and may add header lines to them", function()
    local app = ml.web.app()
    app:get("/", function(req) return req.headers["x-observed"] or "no" end)
    app:post("/", function(req) return (req.headers["x-observed"] or "no") .. req.body end)
    support.serving(app, function(port)
      local client <close> = ml.http.client { base_url = "http://127.0.0.1:" .. port }
      assert.equal("no", client:get "/".body)
      local recorder <close> = observations.start()
      assert.equal("yes", client:get "/".body)
      assert.equal("yesabc", client:post("/", { body = "abc" }).body)
      recorder:stop()
      assert.equal("no", client:get "/".body)
      local list = {}
      for _, line in ipairs(lines(recorder)) do list[#list + 1] = line:match "^%l+ call.*" end
      assert.same({
        "began call GET 127.0.0.1", "ended call GET 127.0.0.1 200 - sent 0 received 3",
        "began call POST 127.0.0.1", "ended call POST 127.0.0.1 200 - sent 3 received 6",
      }, list)
    end)
  end)

  it("is told why a call of the client failed, or that it was cancelled", function()
    local listener <close> = rawtcp.listen()
    local recorder <close> = observations.start()
    local url = "http://127.0.0.1:" .. listener.port
    assert.equal("timeout", select(2, ml.http.get(url, { timeout = 0.01 })).kind)
    ml.timeout(0.01, function() return ml.http.get(url) end)
    local list = lines(recorder)
    assert.equal("ended call GET 127.0.0.1 0 timeout sent 0 received 0", list[2])
    assert.equal("ended call GET 127.0.0.1 0 cancelled sent 0 received 0", list[4])
    assert.equal(0, recorder:under_way())
  end)

  it("is told of jobs of the executor", function()
    local recorder <close> = observations.start()
    ml.executor.run(function() return 1 end)
    pcall(ml.executor.run, function() error "no" end)
    assert.same({ "began executor", "ended executor -", "began executor", "ended executor error" }, lines(recorder))
  end)

  it("is told of runs of jobs, which Lua reports", function()
    local job = require "moonloop.observed_job"
    local recorder <close> = observations.start()
    job.began({ name = "mail", queue = "default", attempt = 2 }):ended "done"
    do local _ <close> = job.began { name = "mail", queue = "slow" } end
    assert.same({ "began job mail default 2", "ended job mail default 2 done",
      "began job mail slow 1", "ended job mail slow 1 cancelled" }, lines(recorder))
  end)

  it("that is removed hears of no ends, but leaves what is under way", function()
    local recorder <close> = observations.start()
    local task = ml.spawn(ml.executor.run, function() return 1 end)
    ml.sleep(0)
    while recorder:under_way() == 0 do ml.sleep(0) end
    recorder:stop()
    task:await()
    assert.same({ "began executor", "left" }, lines(recorder))
  end)

  it("finds the first word of a statement", function()
    assert.equal("SELECT", observations.operation "select 1")
    assert.equal("INSERT", observations.operation " -- why\n /* and */ (Insert into t")
    assert.equal("WITH", observations.operation "WITH x as (select 1) select * from x")
    assert.equal("", observations.operation "")
    assert.equal("", observations.operation "/* no end")
  end)
end)

sql.on_each("an observer", function(place, kind)
  it("is told of statements, without their values, and of what came of them", function()
    local system = kind.name:lower()
    local db = place():open { pool = 2 }
    assert(db:script "drop table if exists o; create table o (id integer primary key)")
    local recorder <close> = observations.start()
    assert(db:exec("insert into o values ($1)", 1))
    assert(db:query "select id from o")
    local _, err = db:exec("insert into o values ($1)", 1)
    assert.equal("unique", err.kind)
    assert.is_nil((db:query "select nothing from o"))
    for _ in db:rows "select id from o" do end
    local list = lines(recorder)
    for i, each in ipairs {
      { "INSERT", "insert into o values ($1)", "1 - -" },
      { "SELECT", "select id from o", "1 - -" },
      { "INSERT", "insert into o values ($1)", "-1 unique " },
      { "SELECT", "select nothing from o", "-1 " },
      { "SELECT", "select id from o", "1 - -" },
    } do
      local text = ("%s %s: %s"):format(system, each[1], each[2])
      assert.equal("began sql " .. text, list[2 * i - 1])
      assert.equal(("ended sql %s: %s"):format(text, each[3]), list[2 * i]:sub(1, #text + 12 + #each[3]))
    end
    assert.equal(10, #list)
    assert.equal(0, recorder:under_way())
    db:close()
  end)

  if kind.driver ~= "pg" then return end

  it("is told of COPY, from its beginning to its end", function()
    local db = place():open { pool = 2 }
    assert(db:script "drop table if exists o; create table o (id integer primary key)")
    local recorder <close> = observations.start()
    assert.equal(2, db:copy_in("o", { "id" }, { { 1 }, { 2 } }))
    assert.equal("unique", select(2, db:copy_in("o", { "id" }, { { 3 }, { 1 } })).kind)
    assert.is_false((pcall(db.copy_in, db, "o", { "id" }, function() error "no more" end)))
    for _ in db:copy_out "copy o to stdout" do end
    local pieces = 0
    for _ in db:copy_out "copy (select generate_series(1, 100000)) to stdout" do
      pieces = pieces + 1
      if pieces == 1 then break end
    end
    assert.is_false((pcall(db.copy_out, db, "copy nothing to stdout")))
    assert.equal(0, recorder:under_way())
    local list = {}
    for i, line in ipairs(lines(recorder)) do
      list[i] = line:gsub("generate_series%(.-: (%d+) ", function(n)
        return ("generate_series: %s "):format(tonumber(n) > 0 and tonumber(n) < 100000 and "some" or n)
      end)
    end
    local text = "sql postgresql COPY: copy "
    assert.same({
      "began " .. text .. '"o" ("id") from stdin', "ended " .. text .. '"o" ("id") from stdin: 2 - -',
      "began " .. text .. '"o" ("id") from stdin', "ended " .. text .. '"o" ("id") from stdin: -1 unique 23505',
      "began " .. text .. '"o" ("id") from stdin', "ended " .. text .. '"o" ("id") from stdin: -1 cancelled -',
      "began " .. text .. "o to stdout", "ended " .. text .. "o to stdout: 2 - -",
      "began " .. text .. "(select generate_series(1, 100000)) to stdout",
      "ended " .. text .. "(select generate_series: some - -",
      "began " .. text .. "nothing to stdout", "ended " .. text .. "nothing to stdout: -1 syntax 42P01",
    }, list)
    db:close()
  end)

  it("hears of the end of a statement whose connection is given back before it can be sent again", function()
    local db = place():open { pool = 2 }
    assert(db:script "drop table if exists o; create table o (id integer primary key)")
    local conn = assert(db:lease "read")
    assert(conn:query "select * from o")
    local recorder <close> = observations.start()
    local task
    assert(db:tx(function(tx)
      assert(tx:exec "alter table o add column more text") -- now it has to be described again
      task = ml.spawn(conn.query, conn, "select * from o")
      repeat
        ml.sleep(0)
      until tx:value "select count(*) from pg_locks where not granted" == 1
      conn:release()
      return true
    end))
    local rows, err = task:await()
    assert.same({ nil, "closed" }, { rows, err.kind })
    local list = {}
    for _, line in ipairs(lines(recorder)) do
      if line:find("from o", 1, true) then list[#list + 1] = line end
    end
    local text = "sql postgresql SELECT: select * from o"
    assert.same({ "began " .. text, "ended " .. text .. ": -1 closed -" }, list)
    assert.equal(0, recorder:under_way())
    db:close()
  end)

  -- Both statements are in flight on one connection, and both answers are there when the loop next looks.
  it("hears of the end of a statement whose task is cancelled before it can go on", function()
    local db = place():open { pool = 1 }
    assert(db:script [[
      drop table if exists told;
      create table told (n integer);
      create or replace function until_told() returns void language plpgsql as 'begin
        while not exists (select from told) loop perform pg_sleep(0.001); end loop;
      end']])
    local first, second = "select until_told()", "select 'never seen before'"
    assert(db:exec "insert into told values (1)")
    assert(db:exec(first)) -- it is known from now on
    assert(db:exec "delete from told")
    local recorder <close> = observations.start()
    local cancelled
    local before = ml.spawn(function()
      assert(db:exec(first))
      cancelled:cancel()
    end)
    cancelled = ml.spawn(function() return db:value(second) end)
    while recorder:under_way() < 2 do ml.sleep(0) end
    ml.sleep(0)
    place().server:psql(([[set statement_timeout = '60s';
      do $$
      declare server integer;
      begin
        loop
          select pid into server from pg_stat_activity where query = '%s' and state = 'active';
          exit when found;
          perform pg_stat_clear_snapshot();
        end loop;
        insert into told values (1);
        commit;
        loop
          perform pg_stat_clear_snapshot();
          exit when exists (select from pg_stat_activity where pid = server and query = '%s' and state = 'idle');
        end loop;
      end $$]]):format(first, second:gsub("'", "''")))
    before:await()
    assert.is_false((pcall(cancelled.await, cancelled)))
    assert.equal(0, recorder:under_way())
    assert.equal(3, db:value "select 3")
    local list = lines(recorder)
    local text = "sql postgresql SELECT: "
    assert.same({ "ended " .. text .. first .. ": 1 - -", "ended " .. text .. second .. ": -1 cancelled -",
      "began " .. text .. "select 3", "ended " .. text .. "select 3: 1 - -" }, { table.unpack(list, 3) })
    db:close()
  end)
end)

describe("an observer", function()
  local missing = redis.missing()
  it("is told of commands of Redis", function()
    if missing then return pending(missing) end
    local server <close> = redis.start()
    local client <close> = server:client()
    client:ping()
    local recorder <close> = observations.start()
    client:set("k", "v")
    client:lpush("k", "v")
    client:pipeline(function(p)
      p:get "k"
      p:get "k"
    end)
    assert.same({ "began redis SET 1", "ended redis SET 1 -", "began redis LPUSH 1", "ended redis LPUSH 1 redis",
      "began redis pipeline 2", "ended redis pipeline 2 -" }, lines(recorder))
  end)
end)
