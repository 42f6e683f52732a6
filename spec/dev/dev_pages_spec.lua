-- The page about an error in a browser: see spec/support/npm/dev.mjs.
local folders = require "spec.support.folder"
local npm = require "spec.support.npm"
local processes = require "spec.support.process"

npm.block(describe, pending, "the page about an error", function()
  it("is shown under its policy, light and dark, wide and narrow", function()
    local folder <close> = folders.new { ["app.lua"] = [[
      local app = require "moonloop".web.app()
      local function inner(text)
        local long = { ("a long text that does not end "):rep(20) }
        return #long + text
      end
      app:get("/", function(req)
        local outer = "outer" .. ("%s"):rep(100)
        return { inner(outer) }
      end)
      return app]] }
    local process <close> = processes.start("dev app.lua --block-limit 0 --port 0", ("cd '%s';"):format(folder.path))
    local url = process:line():match "http://[%d.:]+"
    assert.equal("done\n", npm.run("dev.mjs", url))
  end)
end)
