-- The examples of doc/migrations.md: its files, its app, and its commands, as a reader would try them.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local processes = require "spec.support.process"
local support = require "spec.support"

local text = folders.read "doc/migrations.md"

-- The files that the page shows, in a new folder.
local function app_folder()
  local folder = folders.new { migrations = {}, queries = {} }
  for block in text:gmatch "\n```sql\n(.-)\n```" do
    local name = assert(block:match "^%-%- (%S+)\n", "the example has no name of a file in its first line")
    folders.write(folder.path .. "/" .. name, block)
  end
  folders.write(folder.path .. "/app.lua", assert(text:match "\n```lua\n(.-)\n```"))
  return folder
end

local function run(folder, command)
  local output, status = processes.sh(("cd %s && unset DATABASE_URL && PATH=%s:$PATH && %s"):format(folder.path,
    processes.quote(support.binary:match "^(.*)/"), command))
  return (output:gsub("%(%d+ ms%)", "(MS)"):gsub("%d+%-%d+%-%d+ %d+:%d+:%d+ UTC", "TIME")), status
end

describe("the page on migrations", function()
  it("has migrations that run, and are undone", function()
    local folder <close> = app_folder()
    assert.same({ "2 migrations and 1 statement of 1 file are right\n", 0 }, { run(folder, "moonloop migrate check") })
    assert.same({ "ran 0001_users (MS)\nran 0002_orders (MS)\n", 0 }, { run(folder, "moonloop migrate up") })
    assert.same({ "undid 0002_orders (MS)\nundid 0001_users (MS)\n", 0 }, { run(folder, "moonloop migrate down 2") })
  end)

  it("has an app that runs them before its first client", function()
    local folder <close> = app_folder()
    local server <close> = processes.serve("app.lua", "", ("cd %s; unset DATABASE_URL;"):format(folder.path))
    assert.same({ { id = 1, name = "Ada" } }, assert(ml.http.get(server.url .. "/users")):json())
    server:stop()
    local status = run(folder, "moonloop migrate status")
    assert.matches("0001_users  | ran on TIME\n0002_orders | ran on TIME\n", status, 1, true)
  end)

  it("has the commands that there are", function()
    local commands = 0
    for verb in text:gmatch "\n *moonloop migrate (%l+)" do
      local folder <close> = app_folder()
      local output, status = run(folder, "moonloop migrate " .. verb .. (verb == "new" and " users" or ""))
      assert(status == 0, output)
      commands = commands + 1
    end
    assert.is_true(commands >= 5)
  end)

  it("says which database the commands use: --url, else DATABASE_URL, else sqlite:app.db", function()
    local folder <close> = app_folder()
    local function made_by(command, name)
      local output, status = run(folder, command)
      assert(status == 0, output)
      local found = processes.sh(("cd %s && ls *.db && rm -f *.db *.db-*"):format(folder.path))
      assert.equal(name .. "\n", found)
    end
    -- The shell makes no file: it finds only the one that it should use.
    local shell = "touch %s; echo 'create table t (a integer);' | moonloop db shell"
    for _, command in ipairs { "moonloop migrate up", shell } do
      made_by(command:format "app.db", "app.db")
      made_by("export DATABASE_URL=sqlite:named.db; " .. command:format "named.db", "named.db")
      made_by("export DATABASE_URL=sqlite:named.db; " .. command:format "told.db" .. " --url sqlite:told.db", "told.db")
    end
    os.rename(folder.path .. "/migrations", folder.path .. "/elsewhere")
    made_by("moonloop migrate up --dir elsewhere", "app.db")
  end)
end)
