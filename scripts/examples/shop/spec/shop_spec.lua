-- The shop without a server, its database in memory. Run in the shop's folder: moonloop test spec
local ml = require "moonloop"
local needs = require "dependencies"
local app = ml.web.load "app.lua"

describe("the shop", function()
  local db, override, user, c

  before_each(function()
    db = ml.sql.open "sqlite::memory:"
    override = app:override(needs.db, function() return db end)
    user = { close = function() end } -- until a spec acts as one
    c = ml.web.test(app)
  end)

  after_each(function()
    c:close()
    user:close()
    override:close()
    db:close()
  end)

  --- Makes all requests come from this user, without passwords and tokens.
  local function act_as(name, scopes)
    assert(db:insert("users", { name = name, password = "none", scopes = scopes or "" }))
    user:close()
    user = app:override(needs.user, function() return { name = name, scopes = scopes or "" } end)
  end

  local function add_lamp(fields)
    local item = { name = "lamp", price = 1250, stock = 3 }
    for name, value in pairs(fields or {}) do item[name] = value end
    return c:post("/api/items", { json = item })
  end

  it("gives its first user a token to add items, and no other", function()
    local function log_in(name)
      assert.equal(201, c:post("/api/users", { json = { name = name, password = "correct horse" } }).status)
      local res = c:post("/api/token", { form = { username = name, password = "correct horse" } })
      assert.equal("bearer", res:json().token_type)
      return res:json().access_token
    end
    local ann, bob = log_in "ann", log_in "bob"
    assert.same({ name = "ann", scopes = { "items:write" } }, c:get("/api/users/me", { auth = ann }):json())
    assert.equal(201, c:post("/api/items", { json = { name = "lamp", price = 1250 }, auth = ann }).status)
    local res = c:post("/api/items", { json = { name = "cup", price = 1 }, auth = bob })
    assert.same({ 403, "Not enough permissions" }, { res.status, res:json().detail })
    assert.equal(401, c:post("/api/token", { form = { username = "ann", password = "wrong horse" } }).status)
    for _, token in ipairs { "nonsense", (ml.jwt.sign({ sub = "ann", aud = "shop" }, ml.web.token())) } do
      assert.equal(401, c:get("/api/users/me", { auth = token }).status)
    end
    assert.equal(401, c:get("/api/orders").status)
  end)

  it("has items", function()
    act_as("ann", "items:write")
    assert.same({ id = 1, name = "lamp", price = 1250, stock = 3, note = ml.json.null }, add_lamp():json())
    assert.equal(409, add_lamp().status)
    assert.same({ 1, 0 }, { #c:get("/api/items?q=am"):json(), #c:get("/api/items?q=cup"):json() })
    assert.equal(404, c:get("/api/items/2").status)
    local errors = add_lamp({ name = "", price = 0 }):json().detail
    assert.same({ "string_too_short", "greater_than_equal" }, { errors[1].type, errors[2].type })
  end)

  it("changes what a PATCH has sent", function()
    act_as("ann", "items:write")
    add_lamp { note = "old" }
    local res = c:patch("/api/items/1", { json = { note = ml.json.null, stock = 2 } })
    assert.same({ id = 1, name = "lamp", price = 1250, stock = 2, note = ml.json.null }, res:json())
    assert.equal(404, c:patch("/api/items/7", { json = { stock = 1 } }).status)
  end)

  it("takes an order back that cannot be served", function()
    act_as("ann", "items:write")
    add_lamp()
    local res = c:post("/api/orders", { json = { item_id = 1, count = 2 } })
    assert.same({ 201, 2500 }, { res.status, res:json().total })
    res = c:post("/api/orders", { json = { item_id = 1, count = 2 } })
    assert.same({ 409, "there are only 1 of lamp" }, { res.status, res:json().detail })
    assert.equal(1, #c:get("/api/orders"):json())
  end)

  it("sells on its pages", function()
    c:post("/api/users", { json = { name = "ann", password = "correct horse" } })
    assert(db:insert("items", { name = "<lamp>", price = 1250, stock = 3 }))
    assert.matches("&lt;lamp&gt;</a> 12.50, 3 left", c:get("/").body)
    local function token(body) return body:match 'name="csrf_token" value="([^"]+)"' end
    local form = { csrf_token = token(c:get("/login").body), name = "ann", password = "wrong horse" }
    assert.equal(401, c:post("/login", { form = form }).status)
    form.password = "correct horse"
    local res = c:post("/login", { form = form })
    assert.matches("ann <button>Log out</button>", res.body)
    res = c:post("/buy", { form = { csrf_token = token(res.body), item_id = 1, count = 2 } })
    assert.matches("<li>2 &lt;lamp&gt;: 25.00</li>", res.body)
    assert.equal(403, c:post("/buy", { form = { item_id = 1, count = 1 } }).status)
    res = c:post("/logout", { form = { csrf_token = token(res.body) } })
    assert.matches("Log in", res.body)
  end)
end)
