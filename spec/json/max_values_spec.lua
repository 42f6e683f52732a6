-- max_values: how many values a text of JSON may have, wherever it comes from.
local ml = require "moonloop"
local web = require "moonloop.web"

local json, s = ml.json, ml.schema
local SEVEN <const> = '[1,[],{},"a,[b",{"k":1}]'
local EIGHT <const> = '[1,[],{},"a,[b",{"k":1},2]'
local MILLION <const> = "[" .. ("[],"):rep(999998) .. "[]]" -- with the list around them
local MORE <const> = "[" .. ("[],"):rep(999999) .. "[]]"

-- That the text is refused, since it has more than `most` values, and takes no memory for them.
local function refuses(most, f, ...)
  collectgarbage()
  local before = collectgarbage "count"
  local value, err = f(...)
  assert(collectgarbage "count" - before < 1000)
  assert.same({ nil, "json", "too_large" }, { value, err.kind, err.code })
  assert.matches(("more than %d values (max_values)"):format(most), err.message, 1, true)
  return err
end

describe("max_values", function()
  it("limits the values that ml.json.decode makes, of short texts and of long ones", function()
    assert.equal(5, #json.decode(SEVEN, { max_values = 7 }))
    local err = refuses(7, json.decode, EIGHT, { max_values = 7 })
    assert.same({ 1, 24 }, { err.line, err.column })
    assert.equal(5, #json.decode(SEVEN .. (" "):rep(300000), { max_values = 7 }))
    refuses(7, json.decode, EIGHT .. (" "):rep(300000), { max_values = 7 })
    refuses(1000000, json.decode, MORE, { max_values = 1000000 })
    assert.equal(999999, #json.decode(MILLION, { max_values = 1000000 }))
    assert.equal(3, json.decode("3", { max_values = 1 }))
  end)

  it("has no default in ml.json.decode: a program's own files may be large", function()
    assert.equal(1000000, #json.decode(MORE))
    assert.equal(6, #json.decode(EIGHT, {}))
    assert.equal(6, #json.decode(EIGHT, { max_values = math.huge }))
  end)

  it("tells other mistakes from too many values", function()
    local _, err = json.decode("[1", { max_values = 7 })
    assert.same({ "json" }, { err.kind, err.code })
  end)

  it("is an integer from 1, or math.huge", function()
    for _, wrong in ipairs { 0, -1, 1.5, "7", true, -math.huge } do
      assert.error_matches(function() json.decode("1", { max_values = wrong }) end,
        "option 'max_values' of ml.json.decode is .* %(expected an integer from 1, or math.huge%)")
      assert.error_matches(function() ml.http.client { max_values = wrong } end,
        "max_values: an integer from 1, or math.huge, expected")
    end
    assert.error_matches(function() json.decode("1", { max_value = 1 }) end, "did you mean 'max_values'")
    assert.error_matches(function() s.int():decode("1", { max_values = 0 }) end, "of schema:decode")
  end)

  it("limits the values that a schema decodes", function()
    local list = s.list(s.any())
    assert.equal(5, #list:decode(SEVEN, { max_values = 7 }))
    for _, text in ipairs { EIGHT, EIGHT .. (" "):rep(300000) } do
      local value, err = list:decode(text, { max_values = 7 })
      assert.same({ nil, "validation", "json_invalid" }, { value, err.kind, err.errors[1].type })
      assert.matches("more than 7 values", err.errors[1].ctx.error)
    end
  end)
end)

describe("max_values of ml.http", function()
  local app = web.app()
  app:get("/{text}", function(req)
    return web.response { body = ({ seven = SEVEN, eight = EIGHT, million = MILLION, more = MORE })[req.params.text] }
  end)
  app:get("/to/{text}", function(req) return web.redirect("/" .. req.params.text) end)

  local function with_server(f)
    local server <close> = assert(web.listen(app, { port = 0 }))
    f("http://127.0.0.1:" .. server.port)
  end

  it("limits what res:json() makes of a response: a million values", function()
    with_server(function(base)
      assert.equal(999999, #ml.http.get(base .. "/million"):json())
      local res = ml.http.get(base .. "/more")
      refuses(1000000, res.json, res)
      res = ml.http.get(base .. "/more", { stream = true })
      assert.matches("max_values", select(2, res:json()).message)
      assert.equal(1000000, #ml.http.get(base .. "/more", { max_values = math.huge }):json())
    end)
  end)

  it("is an option of a client and of a request, also across redirects", function()
    with_server(function(base)
      for _, opts in ipairs { {}, { retries = 1 } } do -- by the short path, and by the long one
        opts.base_url, opts.max_values = base, 7
        local client <close> = ml.http.client(opts)
        assert.equal(5, #client:get("/seven"):json())
        for _, path in ipairs { "/eight", "/to/eight" } do
          local res = client:get(path)
          refuses(7, res.json, res)
          res = client:get(path, { max_values = 7, stream = true })
          refuses(7, res.json, res)
          assert.equal(6, #client:get(path, { max_values = 8 }):json())
        end
      end
      local res = ml.http.get(base .. "/to/eight", { max_values = 7 })
      refuses(7, res.json, res)
    end)
  end)
end)
