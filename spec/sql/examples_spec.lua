-- The examples on databases, run as a reader would run them.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

--- Goes through the notes API as its clients do.
local function use_notes(url)
  local client = ml.http.client { base_url = url }
  local function post(note) return assert(client:post("/notes", { json = note })) end
  assert.same({}, assert(client:get "/notes"):json())
  assert.same({ 201, { id = 1 } }, { (function(res) return res.status, res:json() end)(
    post { title = "tea", text = "buy some", tags = { "shop", "drink" } }) })
  assert.equal(2, post { title = "sleep", text = "more" }:json().id)
  local note = assert(client:get "/notes/1"):json()
  assert.near(os.time(), note.created, 600)
  note.created = nil
  assert.same({ id = 1, title = "tea", text = "buy some", tags = { "drink", "shop" } }, note)

  local function titles(path)
    local list = {}
    for i, found in ipairs(assert(client:get(path)):json()) do list[i] = found.title end
    return list
  end
  assert.same({ "tea", "sleep" }, titles "/notes")
  assert.same({ "tea" }, titles "/notes?tag=shop")
  assert.same({}, titles "/notes?tag=none")

  local function refused(status, message, res)
    assert.same({ status, message }, { res.status, res:json().detail })
  end
  refused(409, "there is a note with this title, or a tag twice", post { title = "tea", text = "again" })
  refused(409, "there is a note with this title, or a tag twice", post { title = "a", text = "b", tags = { "c", "c" } })
  assert.same({ "tea", "sleep" }, titles "/notes") -- neither has left a half of itself
  refused(422, "a note has a title and a text", post { title = "tea" })
  for _, tags in ipairs { { 1 }, "x", 1, ml.json.null } do
    refused(422, "tags are strings", post { title = "c", text = "d", tags = tags })
  end

  local function put(id, new) return assert(client:put("/notes/" .. id, { json = new })) end
  assert.equal(204, put(1, { title = "tea", text = "bought", tags = { "done" } }).status)
  assert.same({ "bought", { "done" } }, (function(found) return { found.text, found.tags } end)(
    assert(client:get "/notes/1"):json()))
  refused(404, "no such note", put(99, { title = "x", text = "y" }))
  refused(404, "no such note", assert(client:get "/notes/99"))
  assert.equal(204, assert(client:delete "/notes/1").status)
  refused(404, "no such note", assert(client:delete "/notes/1"))
  assert.same({}, titles "/notes?tag=done")
end

--- Serves the notes in a folder that is a copy of theirs, so that app.db is in there.
local function with_notes(environment, f)
  local folder <close> = folders.new {}
  assert(os.execute(("cp -r scripts/examples/notes/. '%s'"):format(folder.path)))
  local before = ("cd '%s'; unset DATABASE_URL; %s"):format(folder.path, environment)
  for _ = 1, 2 do -- the second finds the tables as they are
    local server <close> = process.serve("app.lua", nil, before)
    f(server.url)
    local _, status, errors = server:stop()
    assert.equal(0, status, errors)
  end
end

describe("the example of notes", function()
  it("keeps them in SQLite", function()
    local used
    with_notes("", function(url)
      if not used then use_notes(url) end
      used = true
      assert.equal("sleep", assert(ml.http.get(url .. "/notes")):json()[1].title)
    end)
  end)

  it("keeps them in PostgreSQL when told its URL", function()
    local missing = postgres.missing()
    if missing then return pending(missing) end
    local database <close> = postgres.start()
    local used
    with_notes(("export DATABASE_URL='%s';"):format(database.url), function(url)
      if not used then use_notes(url) end
      used = true
      assert.equal("sleep", assert(ml.http.get(url .. "/notes")):json()[1].title)
    end)
    assert.equal("sleep", database:psql "select title from notes")
  end)
end)

describe("the example", function()
  local missing = postgres.missing()
  if missing then
    it("needs PostgreSQL", function() pending(missing) end)
    return
  end

  local database
  lazy_setup(function() database = postgres.start() end)
  lazy_teardown(function() database:close() end)

  local function serve(name, parameters, options)
    return process.serve("scripts/examples/" .. name, options,
      ("export DATABASE_URL='%s%s';"):format(database.url, parameters or ""))
  end

  it("dashboard.lua asks for a user, orders and preferences at once", function()
    -- A pg_sleep of ours lets nobody go before three are there: queries one after the other would wait for ever.
    database:psql [[
      create sequence here;
      create function pg_sleep(double precision) returns void language plpgsql as $$
      begin
        perform nextval('here');
        while (select last_value < 3 from here) loop perform pg_catalog.pg_sleep(0.005); end loop;
      end $$;
    ]]
    local server <close> = serve("dashboard.lua", "&options=-csearch_path%3Dpublic,pg_catalog")
    local res = assert(ml.http.get(server.url .. "/dashboard/7"))
    assert.equal(200, res.status, server:errors())
    assert.same({
      user = { id = 7, name = "Ada" },
      orders = { { number = 701 }, { number = 702 }, { number = 703 } },
      preferences = { user_id = 7, theme = "dark" },
    }, res:json())
    assert.equal("3", database:psql "select last_value from here")
    local _, status, errors = server:stop()
    assert.equal(0, status, errors)
  end)

  it("notify.lua passes on what is said in any process, and tells of a gap", function()
    -- That a client has gone is seen where something is sent to it: nobody waits for that.
    local here <close> = serve("notify.lua", "", "--drain 0")
    local there <close> = serve "notify.lua"
    local hear = assert(ml.http.get(here.url .. "/hear", { stream = true, timeout = 120 }))
    local text, chunks = "", hear:chunks()
    --- Reads events until there is one like this; `say` tries to bring it about, again and again: nobody tells when the
    -- listener is there.
    local function await(pattern, say)
      local saying <close> = ml.group()
      local again = saying:spawn(function()
        while true do
          say()
          ml.sleep(0.02)
        end
      end)
      while not text:find(pattern) do text = text .. assert(chunks(), "the stream has ended") end
      again:cancel()
    end
    await("event: said\ndata: hello\n\n", function() assert(ml.http.post(there.url .. "/say", { body = "hello" })) end)
    database:psql "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'"
    await("event: gap\n", function() end)
    await("event: said\ndata: again\n\n", function() assert(ml.http.post(here.url .. "/say", { body = "again" })) end)
    hear:close()
    for _, server in ipairs { here, there } do
      local _, status, errors = server:stop()
      assert.equal(0, status, errors)
    end
  end)
end)
