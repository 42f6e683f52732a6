-- The types for LuaLS in scripts/types: they are those of the reference, and have the names and the numbers of
-- arguments that the code has.
local clock = require "moonloop.clock"
local folders = require "spec.support.folder"
local lfs = require "lfs"
local ml = require "moonloop"
local processes = require "spec.support.process"
local reference = require "spec.support.reference"
local support = require "spec.support"
local web = require "spec.support.web"

local FOLDER = "scripts/types/"

--- The files below a folder, name to content.
local function files_of(folder)
  local found = {}
  for _, part in ipairs { "", "moonloop/" } do
    for name in lfs.dir(folder .. part) do
      if name:find "%.lua$" then found[part .. name] = folders.read(folder .. part .. name) end
    end
  end
  return found
end

--- The classes of the types: name -> {members = name -> what it takes, as a list, or true}. `self` is the first of
-- a method.
local function classes_of(files)
  local classes, parents = {}, {}
  for _, text in pairs(files) do
    local class, variable
    for line in text:gmatch "[^\n]+" do
      local name, parent = line:match "^%-%-%-@class ([%w_.]+):? ?([%w_.]*)"
      local field = line:match "^%-%-%-@field ([%w_]+)"
      local owner, mark, f, arguments = line:match "^function ([%w_]+)([.:])([%w_]+)%((.*)%) end$"
      if name then
        assert(not classes[name], name .. " is there twice")
        classes[name], parents[name] = {}, parent
        class = classes[name]
      elseif field then
        class[field] = true
      elseif line:find "^local " then
        variable = { line:match "^local ([%w_]+) = {}$", class }
      elseif f then
        assert(owner == variable[1], line)
        local list = mark == ":" and { "self" } or {}
        for argument in arguments:gmatch "[^, ]+" do list[#list + 1] = argument end
        assert(not variable[2][f], f .. " is there twice")
        variable[2][f] = list
      end
    end
  end
  for name, parent in pairs(parents) do setmetatable(classes[name], { __index = classes[parent] }) end
  return classes
end

local files = files_of(FOLDER)
local classes = classes_of(files)

local function keys(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

-- Functions with arguments besides, which are the host's own.
local MORE = { ["moonloop.web.dependency"] = true, ["moonloop.sql.db.copy_in"] = true,
  ["moonloop.web.app.mount"] = true }
local INTERNAL = { ["moonloop.ws"] = { known = true, connect_by = true } } -- names for the host alone

--- What is wrong with what the type says that `f` takes, or nil.
local function wrong_arity(name, f, list)
  if type(f) ~= "function" or type(list) ~= "table" then return nil end
  local about, n = debug.getinfo(f, "uS"), #list
  local rest = list[n] == "..."
  if about.what == "C" or MORE[name] and about.nparams > n then return nil end -- C does not say
  if about.isvararg and (rest or about.nparams <= n) then return nil end
  if not about.isvararg and not rest and about.nparams == n then return nil end
  return ("%s takes %d argument(s)%s, and its type has %d (%s)"):format(name, about.nparams,
    about.isvararg and " and more" or "", n, table.concat(list, ", "))
end

--- Compares a class with an object that it describes. `whole`: its names are all that the object has.
local function compare(class, object, whole, left_out)
  local own, wrong = assert(classes[class], "there is no class " .. class), {}
  for _, name in ipairs(keys(own)) do
    if object[name] == nil and own[name] ~= true then
      wrong[#wrong + 1] = ("%s has no %s"):format(class, name)
    else
      wrong[#wrong + 1] = wrong_arity(class .. "." .. name, object[name], own[name])
    end
  end
  for name in pairs(whole and reference.members(object, true) or {}) do
    if own[name] == nil and not (left_out and left_out[name]) then
      wrong[#wrong + 1] = ("%s.%s has no type"):format(class, name)
    end
  end
  assert(#wrong == 0, table.concat(wrong, "\n"))
end

describe("the types for LuaLS", function()
  it("are those of the reference", function()
    local folder <close> = folders.new {}
    local output, status = processes.sh(("%s scripts/package/types.lua '%s' 2>/dev/null"):format(
      processes.quote(support.binary), folder.path))
    assert.equal(0, status, output)
    local made = files_of(folder.path .. "/")
    local how = "run: moonloop scripts/package/types.lua"
    assert.same(keys(made), keys(files), how)
    for name, text in pairs(made) do assert(text == files[name], name .. " is old; " .. how) end
  end)

  it("explain options and fields with the column that does, whichever others there are", function()
    for name, lines in pairs {
      ["moonloop/stream.lua"] = { "---@field timeout number seconds without progress until .* %(nil: none%)" },
      ["moonloop/trace.lua"] = { "---@field endpoint%? string the collector; .* %(`http://localhost:4318`%)" },
      ["moonloop/metrics.lua"] = { "---@field labels%? any%[%] a list of names %(none%)" },
      ["moonloop/sql.lua"] = { "---@field returning%? any the result is the rows, with these" },
    } do
      for _, line in ipairs(lines) do assert.matches("\n" .. line .. "\n", files[name]) end
    end
  end)

  it("know what jobs are made of", function()
    for _, text in ipairs {
      "---@field tx? moonloop.sql.tx of the same database",
      "---@return integer? id\n---@return boolean|moonloop.error created\nfunction jobs:push(",
      "---@return integer[]? ids\n---@return moonloop.error? err\nfunction jobs:push_all(",
      "---@param id integer\n---@return boolean?\n---@return moonloop.error? err\nfunction jobs:retry(",
      "---@return integer done\n---@return integer failed\nfunction jobs:drain(",
      "---@field attempt integer ", "---@field late integer ", "---@param when string|number\n",
    } do assert.truthy(files["moonloop/jobs.lua"]:find("\n" .. text, 1, true), text) end
  end)

  it("know that an option may be left out in front of another", function()
    for name, line in pairs {
      ["moonloop/net.lua"] = "fun(host: string, port: integer, f?: fun(conn: moonloop.net.conn)): ",
      ["moonloop/web.lua"] = "fun(self: moonloop.web.hub, topic: string, message: string|table, opts?: ",
      ["moonloop/metrics.lua"] = "fun(self: moonloop.metrics.counter, values?: table<string, any>)",
    } do assert.truthy(files[name]:find("\n---@overload " .. line, 1, true), name) end
  end)

  it("know an error of a WebSocket as an error", function()
    assert.matches("\n---@class moonloop.ws.error: moonloop.error\n---@field code integer ", files["moonloop/ws.lua"])
    assert.matches("\n---@return string|moonloop.ws.error kind\nfunction socket:receive%(%)", files["moonloop/ws.lua"])
  end)

  it("are Lua", function()
    for name, text in pairs(files) do
      assert(load(text, name))
      assert.matches("^%-%-%-@meta ", text)
    end
  end)

  it("have every name of the reference, and no other", function()
    local documented, typed = {}, {}
    for _, file in ipairs(reference.files()) do
      if file ~= "c-api.md" and file ~= "command-line.md" then
        for _, name in ipairs(reference.page(file).names) do
          local last = name:match "%.([%w_]+)$"
          if last then documented[last] = file end
        end
      end
    end
    for name, class in pairs(classes) do
      if not name:find "%.opts$" then
        for member in pairs(class) do typed[member] = name end
      end
    end
    for name, file in pairs(documented) do assert(typed[name], ("%s of %s has no type"):format(name, file)) end
    for name, class in pairs(typed) do
      assert(documented[name] or classes["moonloop." .. name] or classes[class .. "." .. name],
        ("%s of %s is on no page"):format(name, class))
    end
  end)

  it("have the names and arities of ml and its modules", function()
    compare("moonloop", ml, true)
    compare("moonloop.clock", clock, true)
    local count = 0
    for name in pairs(getmetatable(ml).__names) do
      if type(ml[name]) == "table" and name ~= "settings" then
        compare("moonloop." .. name, ml[name], true, INTERNAL["moonloop." .. name])
        count = count + 1
      end
    end
    assert(count >= 15)
    compare("moonloop.web.security", ml.web.security, true)
  end)

  it("have those of objects", function()
    local client <close> = ml.http.client()
    compare("moonloop.http.client", client)
    local redis <close> = ml.redis.client "redis://"
    compare("moonloop.redis.client", redis)
    compare("moonloop.redis.cache", redis:cache { ttl = 1 })
    local db = ml.sql.open "sqlite::memory:"
    compare("moonloop.sql.db", db)
    db:tx(function(tx) compare("moonloop.sql.tx", tx) end)
    db:close()
    compare("moonloop.schema.schema", ml.schema.any())
    compare("moonloop.jobs.jobs", ml.jobs.new(ml.sql.open "sqlite::memory:"))
    compare("moonloop.task", ml.current(), true)
    for _, name in ipairs { "future", "event", "lock", "queue" } do compare("moonloop." .. name, ml[name]()) end
    compare("moonloop.semaphore", ml.semaphore(1))
    compare("moonloop.var", ml.var "name")
    local app = ml.web.app()
    compare("moonloop.web.app", app)
    compare("moonloop.web.hub", ml.web.hub {})
    compare("moonloop.web.signer", ml.web.signer(ml.web.token()))
    compare("moonloop.web.response", ml.web.response { json = 1 })
    local c <close> = ml.web.test(ml.web.app())
    compare("moonloop.web.test_client", c)
    local failure
    app:get("/", function(req) failure = select(2, pcall(compare, "moonloop.web.request", req)) end)
    web.serving(app, function(port, server)
      compare("moonloop.web.server", server)
      compare("moonloop.http.response", assert(client:get("http://127.0.0.1:" .. port)))
    end)
    assert.is_nil(failure)
    local folder <close> = folders.new {}
    compare("moonloop.web.templates", ml.web.templates(folder.path))
    local server <close> = assert(ml.net.listen("127.0.0.1", 0))
    compare("moonloop.net.server", server)
    local p <close> = assert(ml.process.spawn { "true" })
    compare("moonloop.process.process", p)
  end)
end)
