local app = require "app"
local ml = require "moonloop"
local notes = require "notes"

describe("the notes", function()
  local c

  setup(function() c = ml.web.test(app) end)
  teardown(function() c:close() end)
  before_each(notes.clear)

  it("are none at first", function()
    local res = c:get "/notes"
    assert.equal(200, res.status)
    assert.equal("[]", res.body)
  end)

  it("are added, read and removed", function()
    local res = c:post("/notes", { json = { text = "buy tea" } })
    assert.equal(201, res.status)
    assert.same({ id = 1, text = "buy tea" }, res:json())
    assert.same({ { id = 1, text = "buy tea" } }, c:get("/notes"):json())
    assert.equal(204, c:delete("/notes/1").status)
    assert.equal(404, c:get("/notes/1").status)
  end)

  it("have a text", function()
    local res = c:post("/notes", { json = { text = "" } })
    assert.equal(422, res.status)
    assert.same({ "body", "text" }, res:json().detail[1].loc)
  end)
end)
