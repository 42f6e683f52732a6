local ml = require "moonloop"

package.loaded.db = ml.sql.open "sqlite::memory:" -- before the app asks for it

local app = require "app"
local jobs = require "jobs"

describe("the texts", function()
  local c

  setup(function() c = ml.web.test(app) end)
  teardown(function()
    c:close()
    require("db"):close()
  end)

  it("are counted by a job", function()
    local res = c:post("/texts", { json = { text = "to be or not to be" } })
    assert.equal(202, res.status)
    local path = "/texts/" .. res:json().id
    assert.equal(ml.json.null, c:get(path):json().words)
    assert.equal(1, jobs:drain()) -- runs what is due, here and now
    assert.equal(6, c:get(path):json().words)
  end)

  it("that are not there are a 404, and those without words a 422", function()
    assert.equal(404, c:get("/texts/1000").status)
    assert.equal(422, c:post("/texts", { json = { text = "" } }).status)
  end)
end)
