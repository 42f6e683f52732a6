local library = require "{{module}}"
local ml = require "moonloop"

describe("fetch_all", function()
  local server, url

  setup(function()
    local app = ml.web.app()
    app:get("/{name}", function(req) return "this is " .. req.params.name end)
    server = assert(ml.web.listen(app, { port = 0 }))
    url = ("http://127.0.0.1:%d/"):format(server.port)
  end)
  teardown(function() server:stop(0) end)

  it("gives the answers in the order of the URLs", function()
    local list = library.fetch_all({ url .. "a", url .. "b", url .. "c" }, { limit = 2 })
    assert.same({ "this is a", "this is b", "this is c" }, { list[1].body, list[2].body, list[3].body })
    assert.equal(200, list[1].status)
  end)

  it("says what went wrong", function()
    local list = library.fetch_all { "http://127.0.0.1:1/", url .. "a" }
    assert.matches("network", list[1].error)
    assert.equal("this is a", list[2].body)
  end)
end)
