-- The OpenAPI document of an app: what it says, where it is served, and what is refused.
local ml = require "moonloop"
local dependency = require "moonloop.web.dependency"
local folders = require "spec.support.folder"
local openapi = require "moonloop.web.openapi"
local openapi_types = require "moonloop.web.openapi_types"
local process = require "spec.support.process"
local support = require "spec.support"
local web = require "spec.support.web"

local s = ml.schema

local function handler() end

--- The document of an app, as clients read it.
local function document(app) return ml.json.decode((openapi.text(app))) end

--- The document of an app with the one route GET /x.
local function operation(opts, path)
  local app = ml.web.app()
  app:get(path or "/x", opts, handler)
  local _, item = next(document(app).paths)
  return item.get
end

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

local function names(list)
  local all = {}
  for i, one in ipairs(list or {}) do all[i] = one.name end
  return all
end

local function statuses(responses)
  local all = {}
  for status in pairs(responses) do all[#all + 1] = status end
  table.sort(all)
  return all
end

describe("the OpenAPI document", function()
  it("says what the app says about itself", function()
    local app = ml.web.app {
      title = "Shop", version = "1.2", description = "All things", servers = { { url = "https://shop.example" } },
      tags = { "a", { name = "b", description = "B" } }, contact = { name = "Ada" }, license = { name = "MIT" },
      openapi_extra = { info = { termsOfService = "https://shop.example/terms" }, ["x-logo"] = { url = "/logo.svg" } },
    }
    local doc = document(app)
    assert.equal("3.1.1", doc.openapi)
    assert.same({
      title = "Shop", version = "1.2", description = "All things", contact = { name = "Ada" },
      license = { name = "MIT" }, termsOfService = "https://shop.example/terms",
    }, doc.info)
    assert.same({ { url = "https://shop.example" } }, doc.servers)
    assert.same({ { name = "a" }, { name = "b", description = "B" } }, doc.tags)
    assert.same({ url = "/logo.svg" }, doc["x-logo"])
    assert.same({ title = "API", version = "0.1.0" }, document(ml.web.app()).info)
  end)

  it("has what openapi_extra adds anywhere in it", function()
    local Item = s.object("Item", { { "z", s.int() }, { "a", s.int() } })
    local app = ml.web.app { openapi_extra = {
      paths = {
        ["/x/{id}"] = { get = { responses = { ["404"] = { description = "No such thing" } } } },
        ["/hand"] = { get = { responses = { ["200"] = { description = "Made by hand" } } } },
      },
      components = { schemas = { Item = { properties = { more = { type = "string" } } } } },
    } }
    app:get("/x/{id}", { response = Item }, handler)
    app:get("/a/{id}", handler)
    local text = openapi.text(app)
    local doc = ml.json.decode(text)
    assert.equal("No such thing", doc.paths["/x/{id}"].get.responses["404"].description)
    assert.equal("Not Found", doc.paths["/a/{id}"].get.responses["404"].description)
    assert.equal("Made by hand", doc.paths["/hand"].get.responses["200"].description)
    assert.equal("string", doc.components.schemas.Item.properties.more.type)
    assert(text:find('"/x/{id}"', 1, true) < text:find('"/hand"', 1, true))
  end)

  it("is the same text each time, with paths and fields in the order of the app", function()
    local function make()
      local app = ml.web.app { title = "T" }
      local Item = s.object("Item", { { "z", s.int() }, { "a", s.string { max = 3, min = 1 } } })
      for _, path in ipairs { "/z", "/b", "/a/{id}" } do app:post(path, { body = Item, response = Item }, handler) end
      return (openapi.text(app))
    end
    local text = make()
    for _ = 1, 5 do assert.equal(text, make()) end
    local z, b, a = text:find('"/z"', 1, true), text:find('"/b"', 1, true), text:find('"/a/{id}"', 1, true)
    assert(z < b and b < a)
    local properties = '"properties":{"z":{"type":"integer"},"a":{"type":"string","minLength":1,"maxLength":3}}'
    assert.truthy(text:find(properties, 1, true))
  end)

  it("has the parameters of paths by their converters, and those that are declared", function()
    local own = operation({
      params = { name = s.string { max = 5 }:describe "the name" }, cookies = { session = s.string():optional() },
      query = { n = s.int { min = 1 }:default(3), q = s.list(s.string()):optional() },
      headers = { x_token = s.string() },
    }, "/x/{id:int}/{n:number}/{name}/{rest:path}")
    assert.same({ "id", "n", "name", "rest", "n", "q", "x-token", "session" }, names(own.parameters))
    assert.same({ name = "id", ["in"] = "path", required = true, schema = { type = "integer" } }, own.parameters[1])
    assert.same({ type = "number" }, own.parameters[2].schema)
    assert.same({
      name = "name", ["in"] = "path", required = true, description = "the name",
      schema = { type = "string", maxLength = 5 },
    }, own.parameters[3])
    assert.same({ name = "n", ["in"] = "query", schema = { type = "integer", minimum = 1, default = 3 } },
      own.parameters[5])
    assert.same({ name = "x-token", ["in"] = "header", required = true, schema = { type = "string" } },
      own.parameters[7])
    assert.equal("cookie", own.parameters[8]["in"])
  end)

  it("has parameters of query, headers and cookies that are schemas of objects", function()
    local own = operation { query = s.object("Page", { { "size", s.int():default(20) }, { "after", s.string() } }) }
    assert.same({ "size", "after" }, names(own.parameters))
    assert.is_true(own.parameters[2].required)
  end)

  it("has bodies, forms and examples", function()
    local body = operation({ body = s.list(s.int()), examples = { { 1, 2 } } }).requestBody
    assert.same({
      required = true,
      content = { ["application/json"] = {
        schema = { type = "array", items = { type = "integer" } }, examples = { example1 = { value = { 1, 2 } } },
      } },
    }, body)
    assert.is_nil(operation({ body = s.int():optional() }).requestBody.required)
    local form = operation({ form = { { "name", s.string() }, { "age", s.int():optional() } } }).requestBody
    assert.same({ type = "object", required = { "name" },
      properties = { name = { type = "string" }, age = { type = "integer" } } },
      form.content["application/x-www-form-urlencoded"].schema)
    assert.truthy(form.content["multipart/form-data"])
    local given = { lamp = { summary = "A lamp", value = { name = "lamp" } } }
    local response = operation({ response = s.map(s.string()), examples = given }).responses["200"]
    assert.same(given, response.content["application/json"].examples)
  end)

  it("says how the fields of a form are written", function()
    local form = operation({ form = { photo = s.file { types = { "image/png", "image/jpeg" } }, docs = s.list(s.file()),
      address = s.object("Address", { city = s.string() }):optional() } }).requestBody
    assert.is_nil(form.content["application/x-www-form-urlencoded"])
    local media = form.content["multipart/form-data"]
    assert.same({ type = "string", contentMediaType = "application/octet-stream" }, media.schema.properties.photo)
    assert.same({ photo = { contentType = "image/png, image/jpeg" }, address = { contentType = "application/json" } },
      media.encoding)
    assert.is_nil(operation({ form = { a = s.int():optional() } }).requestBody.required)
  end)

  it("has the answer of app:validation_error, of the innermost app that has one", function()
    local app, api, inner = ml.web.app(), ml.web.app(), ml.web.app()
    local Wrong = s.object("Wrong", { errors = s.list(s.string()) })
    api:validation_error { schema = Wrong, make = handler }
    for _, one in ipairs { app, api, inner } do one:get("/x", { query = { a = s.int() } }, handler) end
    api:mount("/inner", inner)
    app:mount("/api", api)
    local paths = document(app).paths
    local function schema_of(path)
      return paths[path].get.responses["422"].content["application/json"].schema["$ref"]:match "[^/]*$"
    end
    assert.equal("HTTPValidationError", schema_of "/x")
    assert.equal("Wrong", schema_of "/api/x")
    assert.equal("Wrong", schema_of "/api/inner/x")
  end)

  it("has the answers that a route lists, and those that come from what it declares", function()
    assert.same({ "200" }, statuses(operation().responses))
    assert.same({ "200", "404" }, statuses(operation(nil, "/x/{id}").responses))
    assert.same({ "200", "413", "415", "422" }, statuses(operation({ body = s.int() }).responses))
    assert.same({ "200", "422" }, statuses(operation({ query = { a = s.int() } }).responses))
    assert.same({ "200", "503" }, statuses(operation({ deadline = 1 }).responses))
    assert.same({ "200", "503" }, statuses(operation({ offload = true }).responses))
    local own = operation({ response = { [201] = s.int(), [422] = s.string() }, body = s.int() }).responses
    assert.same({ "201", "413", "415", "422" }, statuses(own))
    assert.same({ type = "string" }, own["422"].content["application/json"].schema)
    assert.equal("Created", own["201"].description)
  end)

  it("names the components of errors so that they are none of the app's", function()
    local app = ml.web.app()
    app:post("/x/{id}", { body = s.object("Detail", { a = s.int() }), response = { [409] = ml.web.detail } }, handler)
    local doc = document(app)
    assert.same({ a = { type = "integer" } }, doc.components.schemas.Detail.properties)
    local response = doc.paths["/x/{id}"].post.responses["404"]
    assert.equal("#/components/schemas/Detail_", response.content["application/json"].schema["$ref"])
    assert.truthy(doc.components.schemas.Detail_.properties.detail)
    local conflict = doc.paths["/x/{id}"].post.responses["409"]
    assert.equal("#/components/schemas/Detail_", conflict.content["application/json"].schema["$ref"])
  end)

  it("has one component for requests and responses, or two where they differ", function()
    local Same = s.object("Same", { a = s.int(), b = s.string():optional() })
    local Leaf = s.object("Leaf", { n = s.int():default(1) })
    local Tree = s.object("Tree", { leaf = Leaf, more = s.list(s.ref "Tree"):optional() })
    local User = s.object("User", { id = s.int { read_only = true }, password = s.string { write_only = true } })
    local OnlyIn = s.object("OnlyIn", { leaf = Leaf })
    local app = ml.web.app()
    local all = s.object { same = Same, tree = Tree, user = User }
    app:post("/x", { body = all, response = all }, handler)
    app:post("/y", { body = OnlyIn }, handler)
    local components = document(app).components.schemas
    local found = {}
    for name in pairs(components) do
      if not name:find "Error" and name ~= "Detail" then found[#found + 1] = name end
    end
    table.sort(found)
    assert.same({ "Leaf-Input", "Leaf-Output", "OnlyIn", "Same", "Tree-Input", "Tree-Output", "User-Input",
      "User-Output" }, found)
    assert.is_nil(components["Leaf-Input"].required)
    assert.same({ "n" }, components["Leaf-Output"].required)
    assert.equal("#/components/schemas/Leaf-Input", components.OnlyIn.properties.leaf["$ref"])
    assert.equal("#/components/schemas/Tree-Output", components["Tree-Output"].properties.more.items["$ref"])
    assert.same({ password = { type = "string", writeOnly = true } }, components["User-Input"].properties)
    assert.same({ id = { type = "integer", readOnly = true } }, components["User-Output"].properties)
  end)

  it("writes null as one of the types, and as nullable in 3.0", function()
    local function schema_of(version)
      local app = ml.web.app { openapi = version }
      local Item = s.object("Item", { a = s.int { gt = 1 }:nullable(), b = s.tuple { s.int(), s.string() } })
      app:post("/x", { body = s.object { item = Item:nullable(), kind = s.const "x" } }, handler)
      local doc = document(app)
      local body = doc.paths["/x"].post.requestBody.content["application/json"].schema
      return doc.components.schemas.Item.properties, body.properties, doc
    end
    local item, body = schema_of "3.1"
    assert.same({ type = { "integer", "null" }, exclusiveMinimum = 1 }, item.a)
    assert.same({ anyOf = { { ["$ref"] = "#/components/schemas/Item" }, { type = "null" } } }, body.item)
    local old, old_body, doc = schema_of "3.0"
    assert.equal("3.0.4", doc.openapi)
    assert.same({ type = "integer", nullable = true, minimum = 1, exclusiveMinimum = true }, old.a)
    assert.same({ type = "array", minItems = 2, maxItems = 2,
      items = { anyOf = { { type = "integer" }, { type = "string" } } } }, old.b)
    assert.same({ allOf = { { ["$ref"] = "#/components/schemas/Item" } }, nullable = true }, old_body.item)
    assert.same({ type = "string", enum = { "x" } }, old_body.kind)
  end)

  it("makes a component of a JSON Schema that refers to itself", function()
    local app = ml.web.app()
    local source = { title = "Tree", type = "object", ["$defs"] = { n = { type = "integer" } },
      properties = { n = { ["$ref"] = "#/$defs/n" }, next = { ["$ref"] = "#" } } }
    app:post("/x", { body = s.from_json_schema(source) }, handler)
    local doc = document(app)
    assert.equal("#/components/schemas/Tree",
      doc.paths["/x"].post.requestBody.content["application/json"].schema["$ref"])
    local tree = doc.components.schemas.Tree
    assert.equal("#/components/schemas/Tree/$defs/n", tree.properties.n["$ref"])
    assert.equal("#/components/schemas/Tree", tree.properties.next["$ref"])
  end)

  it("makes a component of a schema without a name that is in itself", function()
    local Tree
    Tree = s.list(s.ref(function() return Tree end))
    local app = ml.web.app()
    app:post("/x", { body = Tree, response = Tree }, handler)
    local doc = document(app)
    local body = doc.paths["/x"].post.requestBody.content["application/json"].schema
    local component = body.items["$ref"]:match "[^/]*$"
    assert.same({ type = "array", items = { ["$ref"] = "#/components/schemas/" .. component } },
      doc.components.schemas[component])
    assert.same({ type = "array", items = { ["$ref"] = "#/$defs/Schema1" } }, Tree:json_schema()["$defs"].Schema1)
    assert.truthy(openapi_types(app, "app.lua"):find("---@field body any[]", 1, true))
  end)

  it("has the routes of mounted apps, with the tags of these", function()
    local app, api = ml.web.app(), ml.web.app { tags = { "api" } }
    api:get("/", { tags = { "own", "api" } }, handler)
    api:get("/items/{id:int}", handler)
    app:mount("/v1/{tenant}", api)
    local paths = document(app).paths
    assert.same({ "api", "own" }, paths["/v1/{tenant}"].get.tags)
    assert.same({ "tenant", "id" }, names(paths["/v1/{tenant}/items/{id}"].get.parameters))
  end)

  it("leaves out what is hidden, files and probes", function()
    local folder <close> = folders.new {}
    local app = ml.web.app()
    app:get("/a", { hidden = true }, handler)
    app:static("/files", folder.path)
    app:health()
    assert.same({}, document(app).paths)
  end)

  it("has an id for each operation that is its own and stays the same", function()
    local app = ml.web.app()
    app:get("/", handler)
    app:get("/users/{id:int}", handler)
    app:get("/users/by/id", handler)
    app:get("/a", { operation_id = "get_b" }, handler)
    app:get("/b", handler)
    app:any("/a", handler)
    local ids = {}
    for path, item in pairs(document(app).paths) do
      for method, own in pairs(item) do ids[method .. " " .. path] = own.operationId end
    end
    assert.same({
      ["get /"] = "get", ["get /users/{id}"] = "get_users_by_id", ["get /users/by/id"] = "get_users_by_id_2",
      ["get /a"] = "get_b", ["get /b"] = "get_b_2", ["put /a"] = "put_a", ["post /a"] = "post_a",
      ["delete /a"] = "delete_a", ["patch /a"] = "patch_a",
    }, ids)
  end)

  it("has one of two routes that are one path for OpenAPI, and says which is left out", function()
    local app = ml.web.app()
    app:get("/users/{id:int}", handler)
    app:get("/users/{name}", handler)
    app:put("/users/{name}", handler)
    local text, left_out = openapi.text(app)
    local paths = ml.json.decode(text).paths
    assert.same({ "GET /users/{name} is left out: for OpenAPI it is the same path as /users/{id:int}" }, left_out)
    assert.equal("integer", paths["/users/{id}"].get.parameters[1].schema.type)
    assert.same({ "id" }, names(paths["/users/{id}"].put.parameters))
    assert.equal("string", paths["/users/{id}"].put.parameters[1].schema.type)
  end)

  it("has the security of dependencies, and of those that they need", function()
    local function secure(security) return dependency.new({ handler }, { security = security }) end
    local bearer = secure { name = "bearer", scheme = { type = "http", scheme = "bearer" } }
    local key = secure { name = "key", optional = true,
      scheme = { type = "apiKey", ["in"] = "header", name = "X-Key" } }
    local flows = { password = { tokenUrl = "/token", scopes = { ["items:write"] = "" } } }
    local scoped = secure { name = "oauth", scopes = { "items:write" }, scheme = { type = "oauth2", flows = flows } }
    local user = ml.web.dependency { needs = { token = bearer }, handler }
    local app, api = ml.web.app(), ml.web.app()
    api:depends { user }
    api:get("/x", handler)
    app:mount("/api", api)
    app:get("/user", { depends = { user = user } }, handler)
    app:get("/both", { depends = { user = user, key = key } }, handler)
    app:get("/scoped", { depends = { me = scoped } }, handler)
    local doc = document(app)
    assert.same({ { bearer = {} } }, doc.paths["/user"].get.security)
    assert.same({ { bearer = {} } }, doc.paths["/api/x"].get.security)
    assert.same({ { bearer = {}, key = {} }, { bearer = {} } }, doc.paths["/both"].get.security)
    assert.same({ { oauth = { "items:write" } } }, doc.paths["/scoped"].get.security)
    assert.same({ "200", "401" }, statuses(doc.paths["/user"].get.responses))
    assert.same({ "200", "401", "403" }, statuses(doc.paths["/scoped"].get.responses))
    assert.same({ type = "http", scheme = "bearer" }, doc.components.securitySchemes.bearer)
  end)
end)

it("has what the classes of ml.web.security say of themselves", function()
  local security = ml.web.security
  local oauth = security.oauth2_password { token_url = "/token", scopes = { write = "Writes" } }
  local app = ml.web.app()
  app:get("/me", { depends = { user = oauth } }, handler)
  app:post("/items", { depends = { user = oauth:require "write" } }, handler)
  app:get("/stats", { depends = { security.api_key { header = "X-Key", optional = true } } }, handler)
  local doc = document(app)
  assert.same({ { OAuth2PasswordBearer = {} } }, doc.paths["/me"].get.security)
  assert.same({ { OAuth2PasswordBearer = { "write" } } }, doc.paths["/items"].post.security)
  assert.same({ "200", "401", "403" }, statuses(doc.paths["/items"].post.responses))
  assert.same({ { APIKeyHeader = {} }, {} }, doc.paths["/stats"].get.security)
  assert.same({ type = "apiKey", ["in"] = "header", name = "X-Key" }, doc.components.securitySchemes.APIKeyHeader)
end)

describe("an app", function()
  local function serve(app) return ml.web.listen(app, { port = 0 }) end

  it("is refused where two different schemas have one name, with both lines", function()
    local app = ml.web.app()
    app:post("/a", { body = s.list(s.object("Item", { a = s.int() })) }, handler)
    app:post("/b", { response = { [201] = s.object("Item", { a = s.string() }) } }, handler)
    local message = raised(serve, app)
    assert.truthy(message:find "two different schemas of this app are called 'Item'", message)
    assert.truthy(message:find "made at spec/web/openapi_spec.lua:%d+, one at spec/web/openapi_spec.lua:%d+", message)
  end)

  it("is refused where two routes have one operation_id, with both lines", function()
    local app = ml.web.app()
    app:get("/a", { operation_id = "x" }, handler)
    app:get("/b", { operation_id = "x" }, handler)
    local message = raised(serve, app)
    assert.truthy(message:find("two routes have the operation_id 'x': GET /a (spec/web/openapi_spec.lua:", 1, true),
      message)
  end)

  it("says what is wrong with what it says about itself", function()
    for option, case in pairs {
      openapi = { "3.2", '"3.1" or "3.0"' }, tags = { { 1 }, "a list of names" },
      servers = { { {} }, "a list of tables" }, license = { {}, "a table with a name" },
      docs = { { gard = {} }, "{ guard = dependency }" },
    } do
      local message = raised(ml.web.app, { [option] = case[1] })
      assert.truthy(message:find(case[2], 1, true), message)
      assert.truthy(message:find("^spec/web/openapi_spec.lua:", 1), message)
    end
    local message = raised(function() ml.web.app():get("/", { operation = "x" }, handler) end)
    assert.truthy(message:find("did you mean 'operation_id'", 1, true), message)
  end)
end)

describe("/openapi.json", function()
  it("is served where docs is set, with an ETag, and follows routes that are added", function()
    local app = ml.web.app { title = "T", docs = true }
    app:get("/a", handler)
    web.serving(app, function(port)
      local first = web.get(port, "/openapi.json")
      assert.equal(200, first.status)
      assert.equal("application/json", first.headers["content-type"])
      assert.equal("T", ml.json.decode(first.body).info.title)
      assert.is_nil(ml.json.decode(first.body).paths["/openapi.json"])
      local etag = first.headers.etag
      local again = web.get(port, "/openapi.json", "If-None-Match: " .. etag .. "\r\n")
      assert.equal(304, again.status)
      app:get("/b", handler)
      local changed = web.get(port, "/openapi.json", "If-None-Match: " .. etag .. "\r\n")
      assert.equal(200, changed.status)
      assert.truthy(ml.json.decode(changed.body).paths["/b"])
    end)
  end)

  it("is not served otherwise, and is left to the app where it has it", function()
    web.serving(ml.web.app(), function(port) assert.equal(404, web.get(port, "/openapi.json").status) end)
    local app = ml.web.app()
    app:get("/openapi.json", function() return "mine" end)
    web.serving(app, function(port) assert.equal("mine", web.get(port, "/openapi.json").body) end, { docs = true })
  end)
end)

describe("the pages", function()
  local function serving(f, opts)
    local app = ml.web.app(opts or { title = "A & B", docs = true, servers = { { url = "https://api.example/v1" } } })
    web.serving(app, f)
  end

  it("load scripts and styles from their own server only", function()
    serving(function(port)
      for _, path in ipairs { "/docs", "/redoc" } do
        local res = web.get(port, path)
        assert.equal(200, res.status)
        assert.equal("text/html; charset=utf-8", res.headers["content-type"])
        assert.truthy(res.body:find("<title>A &amp; B</title>", 1, true))
        local policy = res.headers["content-security-policy"]
        assert.truthy(policy:find("default-src 'none'; script-src 'self';", 1, true), policy)
        assert.truthy(policy:find("connect-src 'self' https://api.example;", 1, true), policy)
        local found = 0
        for link in res.body:gmatch '[sh]rc?e?f?="([^"]+)"' do
          if not link:find "^data:" then
            assert.equal(200, web.get(port, "/" .. link).status, link)
            found = found + 1
          end
        end
        assert(found >= 2)
        assert.is_nil(res.body:find "<script>")
      end
    end)
  end)

  it("send their files compressed as they are in the binary, or decoded", function()
    serving(function(port)
      local packed = web.get(port, "/docs/swagger-ui.css", "Accept-Encoding: gzip, br\r\n")
      assert.equal("br", packed.headers["content-encoding"])
      assert.equal("Accept-Encoding", packed.headers.vary)
      local plain = web.get(port, "/docs/swagger-ui.css", "Accept-Encoding: gzip\r\n")
      assert.is_nil(plain.headers["content-encoding"])
      assert.equal("text/css; charset=utf-8", plain.headers["content-type"])
      assert.not_equal(packed.headers.etag, plain.headers.etag)
      assert.is_true(plain.body == require "coding".decode("br", nil, { packed.body }))
      local again = web.get(port, "/docs/swagger-ui.css", "If-None-Match: " .. plain.headers.etag .. "\r\n")
      assert.equal(304, again.status)
      assert.equal("", again.body)
      assert.equal(404, web.get(port, "/docs/other.js").status)
      assert.equal(404, web.get(port, "/docs/..%2Fredoc%2FLICENSE.txt").status)
    end)
  end)

  it("decode each file once, for however many clients", function()
    local core = require "moonloop.web.docs.core"
    local decoder, count = core.decoder, 0
    core.decoder = function(name)
      count = count + 1
      return decoder(name)
    end
    serving(function(port)
      local first = web.get(port, "/docs/swagger-ui.css").body
      for _ = 1, 3 do assert.is_true(web.get(port, "/docs/swagger-ui.css").body == first) end
    end)
    core.decoder = decoder
    assert.is_true(count <= 1, count .. " decoders") -- none, if another spec has asked for it
  end)

  it("come with their licences", function()
    serving(function(port)
      assert.truthy(web.get(port, "/docs/LICENSE.txt").body:find("Apache License", 1, true))
      assert.truthy(web.get(port, "/docs/NOTICE.txt").body:find("swagger-ui", 1, true))
      assert.truthy(web.get(port, "/redoc/LICENSE.txt").body:find("MIT License", 1, true))
      for _, path in ipairs { "/docs/swagger-ui-bundle.js", "/redoc/redoc.standalone.js" } do
        assert.equal(200, web.get(port, path .. ".LICENSE.txt").status)
      end
    end)
  end)

  it("are all behind the guard, which --docs does not take away", function()
    local guard = ml.web.dependency { function(req)
      if req.headers.authorization ~= "let me in" then ml.web.abort(401) end
    end }
    for _, opts in ipairs { {}, { docs = true } } do
      local app = ml.web.app { docs = { guard = guard } }
      web.serving(app, function(port)
        for _, path in ipairs { "/openapi.json", "/docs", "/docs/start.js", "/redoc", "/redoc/redoc.standalone.js" } do
          assert.equal(401, web.get(port, path).status, path)
          assert.equal(200, web.get(port, path, "Authorization: let me in\r\n").status, path)
        end
      end, opts)
    end
  end)

  it("need nothing of what app:depends asks of the app's own routes", function()
    local app = ml.web.app { docs = true }
    app:depends { ml.web.dependency { function() ml.web.abort(401) end } }
    app:get("/", handler)
    web.serving(app, function(port)
      assert.equal(401, web.get(port, "/").status)
      for _, path in ipairs { "/openapi.json", "/docs", "/docs/start.js", "/redoc" } do
        assert.equal(200, web.get(port, path).status, path)
      end
    end)
  end)

  it("leave paths to the app that has them", function()
    local app = ml.web.app { docs = true }
    app:get("/docs", function() return "mine" end)
    app:get("/redoc/{page}", function(req) return req.params.page end)
    web.serving(app, function(port)
      assert.equal("mine", web.get(port, "/docs").body)
      assert.equal(404, web.get(port, "/docs/start.js").status)
      assert.equal("start.js", web.get(port, "/redoc/start.js").body)
    end)
  end)
end)

describe("moonloop", function()
  local APP = [[
    local ml = require "moonloop"
    ml.spawn(ml.sleep, 1000)
    local s = ml.schema
    local app = ml.web.app { title = "Shop" }
    local Item = s.object("Item", { name = s.string(), tags = s.list(s.enum { "a", "b" }):default {},
      note = s.string { description = "More" }:optional():nullable() })
    app:post("/items/{id:int}", { body = Item, query = { dry = s.bool():optional() } }, print)
    app:get("/items/{name}", print)
    app:get("/items/{id:int}", print)
    return app
  ]]
  local binary = process.quote(support.binary)

  it("openapi prints the document, and says what is left out", function()
    local file <close> = folders.file(APP)
    local output, status = process.sh(("(%s openapi %s 2>&1 >/dev/null)"):format(binary, file.path))
    assert.equal(0, status)
    assert.equal("moonloop: GET /items/{id:int} is left out: for OpenAPI it is the same path as /items/{name}\n",
      output)
    local text = process.sh(("(%s openapi %s 2>/dev/null)"):format(binary, file.path))
    assert.equal("Shop", assert(ml.json.decode(text)).info.title)
  end)

  it("types prints what req.valid has in each handler", function()
    local file <close> = folders.file(APP)
    local text, status = process.sh(("%s types %s"):format(binary, file.path))
    assert.equal(0, status)
    for _, line in ipairs {
      "---@class Item", "---@field name string", '---@field tags ("a"|"b")[]',
      "---@field note? string|moonloop.null More",
      "---@class post_items_by_id.valid", "---@field params { id: integer }", "---@field query { dry?: boolean }",
      "---@field body Item", "---@field valid post_items_by_id.valid",
    } do assert.truthy(("\n" .. text):find("\n" .. line .. "\n", 1, true), line) end
    local overload = 'path: "/items/{id:int}", opts: table, handler: fun(req: post_items_by_id.request'
    assert.truthy(text:find(overload, 1, true))
    assert.truthy(load(text))
  end)

  it("openapi and types say what is wrong with their arguments and the file", function()
    for arguments, expected in pairs {
      ["openapi"] = "openapi: the app file is missing", ["types a b"] = "types: only one app file is allowed",
      ["openapi --x a"] = "openapi: unknown option '--x'",
    } do
      local output, status = process.sh(binary .. " " .. arguments)
      assert.equal(2, status)
      assert.truthy(output:find(expected, 1, true), output)
    end
    local file <close> = folders.file "return 1"
    local output, status = process.sh(("%s openapi %s"):format(binary, file.path))
    assert.equal(1, status)
    assert.truthy(output:find("returned a number, not an app", 1, true), output)
  end)

  it("serve --docs serves the document", function()
    local file <close> = folders.file(APP)
    local server <close> = process.serve(file.path, "--docs")
    assert.equal(200, web.get(tonumber(server.port), "/openapi.json").status)
  end)
end)

local examples = require "spec.support.examples"

describe("doc/openapi.md", function()
  for _, example in ipairs(examples.of "doc/openapi.md") do it(example.name, example.run) end
end)
