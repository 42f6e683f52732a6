-- The pages of the document in a browser that finds no other host.
local ml = require "moonloop"
local npm = require "spec.support.npm"
local web = require "spec.support.web"

local s = ml.schema

npm.block(describe, pending, "the pages", function()
  it("work in Chromium under their policy, without a request to elsewhere", function()
    local app = ml.web.app { title = "Shop", docs = true }
    local Item = s.object("Item", { id = s.int { read_only = true }, name = s.string() })
    app:get("/items/{id:int}", { response = Item, summary = "One item", description = "With *all* of it." },
      function(req) return { id = req.params.id, name = "lamp" } end)
    app:post("/items", { body = Item, response = { [201] = Item } }, function(req) return req.valid.body, 201 end)
    local log <close> = require("spec.support").keep_reports()
    web.serving(app, function(port)
      assert.equal("done\n", npm.run_beside("pages.mjs", ("http://127.0.0.1:%d"):format(port)))
    end)
    assert.equal("", log:text())
  end)
end)
