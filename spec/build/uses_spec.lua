-- What `moonloop build` finds in Lua code without running it.
local uses = require "moonloop.build.uses"

-- "name@line" of each; "?" behind those that pcall guards.
local function modules(code)
  local list = {}
  for i, use in ipairs(uses.read(code).modules) do
    list[i] = ("%s@%d%s"):format(use.name, use.line, use.is_protected and "?" or "")
  end
  return table.concat(list, " ")
end

local function lines(list)
  local found = {}
  for i, use in ipairs(list) do found[i] = ("%d: %s"):format(use.line, use.what or use.path) end
  return found
end

describe("the modules of a piece of code", function()
  it("are those that it requires by name, in every way to write that", function()
    assert.equal("a@1 b.c@2 d@3 e@4 f@5", modules [==[
local a = require "a"
local b = require("b.c").new()
local c = require 'd' { 1 }
return f(require [[e]], 1,
  require("\102"))]==])
  end)

  it("are not in comments, strings and names of others", function()
    assert.equal("b@9", modules [===[
#!/usr/bin/env moonloop
-- require "a"
--[[ require "a"
]] --[==[ require "a" ]=]==]
local text = "require 'a'" .. 'x\' require "a"' .. [[
require "a"]]
local t = { require = 1, x.require "a", y:require "a" }
function require(name) end
local b <const> = 0x1p4, require "b"]===])
  end)

  it("are optional where pcall asks", function()
    assert.equal("a@1?", modules [[local ok, a = pcall(require, "a")]])
  end)

  it("are reported where only the run shows which they are", function()
    local found = uses.read [[
local a = require("plugins." .. name)
local b = pcall(require, name)
local load = require
return a, b, require(x)]]
    assert.same({}, found.modules)
    assert.same({ '1: require("plugins." .. name)', "2: require(name)", "3: 'require' is used as a value",
      "4: require(x)" }, lines(found.unknown))
  end)

  it("are reported where the code is cut off", function()
    assert.same({ "1: 'require' is used as a value" }, lines(uses.read("pcall(require, (name").unknown))
  end)
end)

describe("the paths of a piece of code", function()
  it("are those of static files, templates, migrations, files and code", function()
    assert.same({ "1: public", "2: /views", "3: migrations", "4: db", "5: a.png", "6: x.lua",
      "7: y.lua" }, lines(uses.read [[
app:static("/s", "public", { max_age = 1 })
local views = ml.web.templates(here .. "/views", { globals = {} })
assert(db:migrate())
assert(db:migrate("db"))
return ml.web.file("a.png")
dofile "x.lua"
ml.web.load("y.lua")]].paths))
  end)

  it("are not those of settings, which are listed by themselves", function()
    local found = uses.read [[
local dotenv = "x"
ml.settings { schema, dotenv = here .. "/app.env", secrets_dir = "/run/secrets" }
ml.settings({ schema, dotenv = { ".env", here .. "/b.env" } })
ml.settings { dotenv = dotenv, env_prefix = "X_" }]]
    assert.same({ "2: /app.env", "3: .env", "3: /b.env" }, lines(found.secrets))
    assert.same({ false, true, false }, { found.secrets[1].is_whole, found.secrets[2].is_whole,
      found.secrets[3].is_whole })
    assert.same({}, found.paths)
  end)

  it("are reported where the name is not there", function()
    assert.same({ "1: static(dir)", "2: templates(views_of ( 1 ))" }, lines(uses.read [[
app:static("/s", dir)
ml.web.templates(views_of(1))
ml.web.file(path)]].unclear))
  end)
end)
