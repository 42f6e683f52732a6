-- The modules of an app that lie beside it, from wherever `moonloop serve` is started.
local folders = require "spec.support.folder"
local ml = require "moonloop"
local processes = require "spec.support.process"
local web = require "spec.support.web"
local binary = processes.quote(require("spec.support").binary)

local app = [[
  local ml = require "moonloop"
  local helper = require "helper"
  local app = ml.web.app()
  app:get("/", function() return helper.name .. " " .. require "parts".name end)
  app:get("/job", { offload = true }, function() return require "helper".name .. " in a job" end)
  app:get("/run", function() return ml.executor.run(function() return require "parts".name end) end)
  return app
]]

-- A folder with an app in a folder `dir`, whose modules others of the same names do not hide.
local function app_folder(more)
  local dir = { ["app.lua"] = app, ["helper.lua"] = "return { name = 'beside the app' }",
    parts = { ["init.lua"] = "return { name = 'a folder beside it' }" } }
  for name, content in pairs(more or {}) do dir[name] = content end
  return folders.new { dir = dir, ["helper.lua"] = "return { name = 'of the working directory' }" }
end

describe("the modules beside an app", function()
  for _, options in ipairs { "", "--workers 2", "--reload" } do
    it(("are found by serve, and by the jobs of its handlers (%s)"):format(options), function()
      local folder <close> = app_folder()
      local process <close> = processes.serve("dir/app.lua", options, ("cd '%s';"):format(folder.path))
      assert.equal("beside the app a folder beside it", assert(web.get(process.port, "/")).body)
      assert.equal("beside the app in a job", assert(web.get(process.port, "/job")).body)
      assert.equal("a folder beside it", assert(web.get(process.port, "/run")).body)
    end)
  end

  it("are found by specs of the app, in its folder `spec` and beside it, and by their jobs", function()
    local spec = [[
      local ml = require "moonloop"
      it("is found", function()
        assert.equal("beside the app", require "helper".name)
        local app = require "app"
        local server <close> = setmetatable({ assert(ml.web.listen(app, { port = 0 })) },
          { __close = function(list) list[1]:stop() end })
        local url = "http://127.0.0.1:" .. server[1].port
        assert.equal("beside the app in a job", ml.http.get(url .. "/job").body)
      end)]]
    local folder <close> = app_folder { ["app_spec.lua"] = spec, spec = { web = { ["app_spec.lua"] = spec } } }
    for _, arguments in ipairs { "dir/spec", folder.path .. "/dir/spec", "dir/app_spec.lua",
      "dir/spec/web/app_spec.lua dir/app_spec.lua" } do
      local output, status = processes.sh(("cd '%s' && %s test %s"):format(folder.path, binary, arguments))
      assert.equal(0, status, output)
    end
  end)

  it("are those of each spec's own app, in its jobs, too", function()
    local function of(name)
      return { ["helper.lua"] = ("return { name = '%s' }"):format(name), spec = { ["app_spec.lua"] = ([[
        local ml = require "moonloop"
        it("is its own", function()
          assert.equal("%s", require "helper".name)
          assert.matches("^%s/", ml.executor.run(function() return package.path end))
        end)]]):format(name, name) } }
    end
    local folder <close> = folders.new { one = of "one", two = of "two" }
    local output, status = processes.sh(("cd '%s' && %s test one/spec two/spec"):format(folder.path, binary))
    assert.equal(0, status, output)
  end)
end)

describe("ml.web.load", function()
  local path = package.path

  after_each(function() package.path = path end)

  it("gives the app of a file, which finds its modules", function()
    local folder <close> = app_folder()
    local loaded = ml.web.load(folder.path .. "/dir/app.lua")
    assert.is_true(ml.web.is_app(loaded))
    assert.equal("beside the app", package.loaded.helper.name)
    package.loaded.helper = nil
  end)

  it("says what is wrong with the file, and raises what its code raises", function()
    local folder <close> = folders.new { ["none.lua"] = "return 1", ["bad.lua"] = "x =", ["raises.lua"] = "error({})" }
    assert.error_matches(function() ml.web.load(folder.path .. "/none.lua") end, "returned a number, not an app")
    assert.error_matches(function() ml.web.load(folder.path .. "/bad.lua") end, "bad.lua:1: unexpected symbol")
    assert.error_matches(function() ml.web.load(folder.path .. "/nosuch.lua") end, "No such file")
    assert.error_matches(function() ml.web.load() end, "string expected, got nil")
    assert.is_table(select(2, pcall(ml.web.load, folder.path .. "/raises.lua")))
  end)
end)

describe("jobs on the executor", function()
  local path = package.path

  after_each(function() package.path = path end)

  it("find modules where their caller does now, not where it did when the first one ran", function()
    ml.executor.run(function() end)
    local folder <close> = folders.new { ["found_by_jobs.lua"] = "return 'found'" }
    package.path = folder.path .. "/?.lua;" .. package.path
    for _ = 1, 20 do
      assert.equal("found", ml.executor.run(function() return (require "found_by_jobs") end))
    end
  end)
end)
