-- What is wrong with the schemas of a route is an error where the route is made, or where it is served.
local ml = require "moonloop"
local s, web = ml.schema, ml.web

--- The message for a route with these options.
local function message(opts, path)
  local app = web.app()
  local ok, err = pcall(function()
    app:post(path or "/", opts, print)
    web.listen(app, { port = 0 }):stop()
  end)
  assert.is_false(ok)
  return tostring(err)
end

describe("the options of a typed route", function()
  it("are refused where the route is made", function()
    for text, opts in pairs {
      ["unknown option 'qurey' of a route %(did you mean 'query'%?%)"] = { qurey = {} },
      ["option 'body' of a route is a table %(expected a schema: ml.schema.object{...}%)"] = { body = { a = s.int() } },
      ["option 'body' of a route is a function %(expected a schema%)"] = { body = s.int },
      ["option 'query' of a route is a function %(expected a table of fields or an object of ml.schema%)"] =
        { query = s.int },
      ["option 'query' of a route is a schema of kind 'int'"] = { query = s.int() },
      ["option 'query' of a route: field 'a' is a string %(expected a schema"] = { query = { a = "int" } },
      ["query parameter 'a' of a route is a schema of kind 'object'"] = { query = { a = s.object {} } },
      ["header 'a' of a route is a schema of kind 'map'"] = { headers = { a = s.list(s.map(s.any())) } },
      ["cookie 'a' of a route has a file: those are in forms"] = { cookies = { a = s.file() } },
      ["option 'body' of a route has a file"] = { body = s.object { a = s.list(s.file()) } },
      ["every request has other headers"] = { headers = s.object({}, { extra = "forbid" }) },
      ["a route cannot have both the options 'body' and 'form'"] = { body = s.any(), form = {} },
      ["option 'response' of a route: 'id' is no status from 200 to 599"] = { response = { id = s.int() } },
      ["option 'response' of a route: 700 is no status"] = { response = { [700] = s.int() } },
      ["option 'response' of a route: for 200 there is a boolean %(expected a schema%)"] =
        { response = { [200] = true } },
      ["option 'response' of a route is a table %(expected a schema, or a table"] = { response = {} },
    } do
      local given = message(opts)
      assert.matches("typed_options_spec.lua:%d+: ", given)
      assert.matches(text, given)
    end
  end)

  it("are refused where the app is served if they cannot be known before", function()
    assert.matches("unknown path parameter 'itm' of the route POST /{item} %(did you mean 'item'%?%).*" ..
      "made at .*typed_options_spec.lua:%d+", message({ params = { itm = s.int() } }, "/{item}"))
    assert.matches("s.ref 'Nowhere': no object has that name", message { body = s.list(s.ref "Nowhere") })
    assert.matches("two fields for the header 'x%-a'", message { headers = { { "x_a", s.int() }, { "x-a", s.int() } } })
  end)

  it("may have schemas that contain themselves", function()
    local Deep, Either
    Deep = s.list(s.ref(function() return Deep end))
    Either = s.union { s.int(), s.ref(function() return Either end) }
    local app = web.app()
    app:post("/", { form = { deep = Deep }, query = { either = Either } }, function(req)
      return { req.valid.form.deep, req.valid.query.either }
    end)
    local client <close> = web.test(app)
    assert.equal("[[[[]]],3]", client:post("/?either=3", { form = { deep = "[[]]" } }).body)
  end)

  it("may mean parameters of the prefix that the app is mounted at", function()
    local inner, outer = web.app(), web.app()
    inner:get("/{item:int}", { params = { shop = s.int(), item = s.int { max = 9 } } }, function(req)
      return req.valid.params
    end)
    outer:mount("/{shop}", inner)
    require "spec.support.web".serving(outer, function(port)
      local get = require "spec.support.web".get
      assert.same({ shop = 3, item = 4 }, ml.json.decode(get(port, "/3/4").body))
      assert.equal(422, get(port, "/x/4").status)
    end)
  end)

  it("of app:validation_error are checked", function()
    assert.has_error(function() web.app():validation_error {} end)
    local ok, err = pcall(function() web.app():validation_error { mak = print } end)
    assert.is_false(ok)
    assert.matches("unknown option 'mak' of app:validation_error %(did you mean 'make'%?%)", tostring(err))
  end)
end)
