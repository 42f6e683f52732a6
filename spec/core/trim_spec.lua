-- Trimming of texts that come from outside.
local ml = require "moonloop"
local trim = require "moonloop.core.trim"

describe("trim", function()
  it("takes white space off both ends, and leaves the rest", function()
    for text, expected in pairs { [""] = "", [" "] = "", [" \t\r\n"] = "", ["a"] = "a", [" a"] = "a", ["a "] = "a",
      ["\ta b\n"] = "a b", ["  a  b  "] = "a  b", ["\0 "] = "\0" } do
      assert.equal(expected, trim(text))
    end
  end)

  -- With a pattern that tries each place, the following would take hours.

  it("takes a moment for a million blanks, wherever they are", function()
    local blanks = (" "):rep(1000000)
    assert.is_true(trim(blanks) == "")
    assert.is_true(trim(blanks .. "a" .. blanks) == "a")
    assert.is_true(trim("a" .. blanks .. "b") == "a" .. blanks .. "b")
  end)

  it("is how handshakes of WebSockets read lists such as Connection", function()
    local has_token = require "moonloop.http.has_token"
    local blanks = (" "):rep(1000000)
    assert.is_true(has_token("a" .. blanks .. "b, \tUpgrade ", "upgrade"))
    assert.is_false(has_token("a" .. blanks .. "upgrade", "upgrade"))
    assert.is_false(has_token(nil, "upgrade"))
  end)

  it("is how a client reads Location, and the headers that it is given", function()
    local headers = { Location = { "/a" .. (" "):rep(200000) .. "b", "/c" } }
    local app = ml.web.app()
    app:get("/", function() return ml.web.response { status = 302, headers = headers } end)
    local server = assert(ml.web.listen(app, { port = 0 }))
    local res, err = ml.http.get(("http://127.0.0.1:%d/"):format(server.port))
    server:stop()
    assert.is_nil(res)
    assert.equal("ambiguous_location", err.code)
    local long = { ["X-Long"] = "a" .. (" "):rep(1000000) .. "b" }
    assert.is_nil(ml.http.get("http://127.0.0.1:1/", { headers = long }))
  end)
end)
