local app = require "app"
local ml = require "moonloop"

describe("the guest book", function()
  local c

  setup(function() c = ml.web.test(app, { headers = { ["Sec-Fetch-Site"] = "same-origin" } }) end) -- as a browser says
  teardown(function() c:close() end)

  it("shows a form", function()
    local res = c:get "/"
    assert.equal(200, res.status)
    assert.matches('<form method="post">', res.body)
    assert.equal(200, c:get("/static/style.css").status)
  end)

  it("shows what was written, escaped", function()
    local res = c:post("/", { form = { name = "Ada", text = "Hello <everybody>" } }) -- the client follows the redirect
    assert.equal(200, res.status)
    assert.matches("<b>Ada</b><p>Hello &lt;everybody&gt;</p>", res.body)
  end)

  it("shows the form again when something is missing", function()
    local res = c:post("/", { form = { name = "", text = "Hello" } })
    assert.equal(422, res.status)
    assert.matches('<p class="wrong">Field required</p>', res.body)
    assert.matches(">Hello</textarea>", res.body)
  end)

  it("shows the form again when a file came in place of a text", function()
    local res = c:post("/", { multipart = { name = { filename = "a.txt", body = "x" }, text = "Hello" } })
    assert.equal(422, res.status)
    assert.matches(">Hello</textarea>", res.body)
  end)

  it("refuses forms of other sites", function()
    assert.equal(403, c:post("/", { form = {}, headers = { ["Sec-Fetch-Site"] = "cross-site" } }).status)
  end)
end)
