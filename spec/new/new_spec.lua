-- `moonloop new`: each template from its creation to green tests, and what is refused.
local folders = require "spec.support.folder"
local lfs = require "lfs"
local ml = require "moonloop"
local processes = require "spec.support.process"
local support = require "spec.support"
local web = require "spec.support.web"

local BINARY = processes.quote(support.binary)

--- What `moonloop WORDS` in the folder says, and its exit status.
local function run(folder, words)
  return processes.sh(("cd '%s' && timeout 300 %s %s"):format(folder.path, BINARY, words))
end

--- The files below `path`, without the types, as a set.
local function files_of(path, prefix, found)
  prefix, found = prefix or "", found or {}
  for name in lfs.dir(path .. "/" .. prefix) do
    local whole = prefix .. name
    if lfs.attributes(path .. "/" .. whole, "mode") == "file" then
      found[whole] = folders.read(path .. "/" .. whole)
    elseif not name:find "^%.%.?$" and name ~= ".types" then
      files_of(path, whole .. "/", found)
    end
  end
  return found
end

describe("moonloop new", function()
  it("quotes a path for the shell where it has to", function()
    local folder <close> = folders.new {}
    local said, status = run(folder, [[new "it's mine/shop" --template library]])
    assert.equal(0, status, said)
    assert.matches([[  cd 'it'\''s mine/shop']], said, 1, true)
  end)

  for _, template in ipairs { "api", "page", "worker", "library" } do
    it("makes a project of the template " .. template .. " whose specs pass", function()
      local folder <close> = folders.new {}
      local said, status = run(folder, "new my-shop --template " .. template)
      assert.equal(0, status, said)
      local project = folder.path .. "/my-shop"
      for name, text in pairs(files_of(project)) do
        assert(said:find("\n  " .. name .. "\n", 1, true), name)
        assert.is_nil(text:find "{{%l+}}", name)
        assert.is_nil(name:find "__")
      end
      for step in said:match("What to do next:\n\n  cd my%-shop\n(.-)\n\n"):gmatch "moonloop (%l+)" do
        assert(step == "dev" or step == "test", step)
      end
      assert.is_table(assert(ml.json.decode(folders.read(project .. "/.luarc.json"))))
      assert.matches("^%-%-%-@meta", folders.read(project .. "/.types/moonloop.lua"))
      assert.matches("# my%-shop\n", folders.read(project .. "/README.md"))
      local output, test_status = processes.sh(("cd '%s' && timeout 300 %s test"):format(project, BINARY))
      assert.equal(0, test_status, output)
      assert.matches("[1-9] successes / 0 failures / 0 errors / 0 pending", output)
      if lfs.attributes(project .. "/app.lua") then
        local server <close> = processes.serve("app.lua", nil, ("cd '%s';"):format(project)) -- has the database
        assert.matches('"status"', assert(web.get(tonumber(server.port), "/healthz")).body)
        server:stop()
      end
    end)
  end

  it("makes workers whose jobs `moonloop jobs` finds", function()
    local folder <close> = folders.new {}
    assert.equal(0, select(2, run(folder, "new shop --template worker")))
    local project = { path = folder.path .. "/shop" }
    local server <close> = processes.serve("app.lua", nil, ("unset DATABASE_URL; cd '%s';"):format(project.path))
    assert.equal(202, assert(ml.http.post(server.url .. "/texts", { json = { text = "to be" } })).status)
    server:stop()
    local output, status = processes.sh(("unset DATABASE_URL; cd '%s' && timeout 300 %s jobs list")
      :format(project.path, BINARY))
    assert.equal(0, status, output)
    assert.matches("| ready |", output, 1, true)
  end)

  it("passes luacheck", function()
    if not os.execute "command -v luacheck >/dev/null" then return pending "luacheck is not installed" end
    local folder <close> = folders.new {}
    for _, template in ipairs { "api", "page", "worker", "library" } do
      local said, status = run(folder, ("new %s --template %s"):format(template, template))
      assert.equal(0, status, said)
    end
    local output, status = processes.sh(("cd '%s' && luacheck --std lua54+busted --exclude-files '**/.types' -- "
      .. "api page worker library"):format(folder.path))
    assert.equal(0, status, output)
  end)

  it("takes an empty folder, and a path", function()
    local folder <close> = folders.new { empty = {} }
    assert.equal(0, select(2, run(folder, "new empty")))
    assert.equal(0, select(2, run(folder, "new --template=page apps/book/")))
    assert.matches('site = "book"', folders.read(folder.path .. "/apps/book/app.lua"))
  end)

  it("is not needed for the types alone", function()
    local folder <close> = folders.new {}
    local said, status = run(folder, "types --write editor/types")
    assert.same({ 0, true }, { status, said:find "^%d+ files in editor/types\n" ~= nil }, said)
    local written = folders.read(folder.path .. "/editor/types/moonloop/web.lua")
    assert.equal(folders.read "scripts/types/moonloop/web.lua", written)
  end)

  it("refuses folders with something in them, bad names, and what it does not know", function()
    local folder <close> = folders.new { full = { ["a.txt"] = "a" }, ["a-file"] = "a" }
    for words, expected in pairs {
      ["new full"] = { 1, "moonloop: new: the folder 'full' is not empty\n" },
      ["new a-file"] = { 1, "moonloop: new: 'a-file' is there already, and no folder\n" },
      ["new Shop"] = { 2, "'Shop' is not a name for a project: up to 64 lowercase letters" },
      ["new .."] = { 2, "'..' is not a name" },
      ["new 1st"] = { 2, "'1st' is not a name" },
      ["new 'a b'"] = { 2, "'a b' is not a name" },
      ["new " .. ("x"):rep(65)] = { 2, "is not a name" },
      ["new shop --template none"] = { 2, "there is no template 'none': there are api," },
      ["new shop --template"] = { 2, "new: --template needs a value" },
      ["new shop --other"] = { 2, "new: unknown option '--other'" },
      ["new a b"] = { 2, "new: only one name is allowed, not also 'b'" },
      ["new"] = { 2, "new: the name of the project is missing" },
      ["types --write"] = { 2, "types: --write needs a folder" },
      ["types --write a b"] = { 2, "types: --write takes a folder alone" },
    } do
      local said, status = run(folder, words)
      assert.equal(expected[1], status, words .. ": " .. said)
      assert(said:find(expected[2], 1, true), words .. ": " .. said)
    end
    assert.same({ ["a-file"] = "a", ["full/a.txt"] = "a" }, files_of(folder.path))
    assert.is_nil(lfs.attributes(folder.path .. "/shop"))
  end)
end)
