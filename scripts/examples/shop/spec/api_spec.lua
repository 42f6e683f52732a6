local helper = require "helper"
local ml = require "moonloop"

local shop = helper.set_up()
local PASSWORD = "correct horse"

describe("the API", function()
  it("gives those who register a token that opens what is theirs", function()
    local c, name = shop.c, helper.new_name()
    local res = c:post("/api/users", { json = { name = name, password = PASSWORD } })
    assert.same({ 201, name, "customer" }, { res.status, res:json().name, res:json().role })
    assert.equal(409, c:post("/api/users", { json = { name = name, password = PASSWORD } }).status)
    local token = c:post("/api/token", { form = { username = name, password = PASSWORD } }):json().access_token
    assert.equal(name, c:get("/api/users/me", { auth = token }):json().name)
    assert.equal(403, c:post("/api/items", { json = { name = "lamp", price = 1250 }, auth = token }).status)
    assert.equal(401, c:get("/api/users/me", { auth = "nonsense" }).status)
    assert.equal(401, c:get("/api/cart").status)
  end)

  it("lets nobody guess passwords", function()
    local form = { username = helper.new_name(), password = "1234" }
    local function guess() return shop.c:post("/api/token", { form = form }).status end
    for _ = 1, 5 do assert.equal(401, guess()) end
    assert.equal(429, guess())
  end)

  it("fails for no text that a client sends", function()
    local c = shop.c
    for _, path in ipairs { "/api/items?q=%00", "/?q=%00", "/?q=%ff", "/api/items?q=%25_" } do
      assert(c:get(path).status < 500, path)
    end
    local form = { username = "a\0", password = "\0" }
    assert(c:post("/api/token", { form = form }).status < 500)
    assert(c:post("/login", { form = { name = "a\0", password = "\0" } }).status < 500)
  end)

  it("has a catalogue that those who run the shop change", function()
    local c = shop.c
    shop.act_as("ann", "admin")
    local lamp = c:post("/api/items", { json = { name = "lamp", price = 1250, stock = 3, note = "red" } }):json()
    assert.equal(409, c:post("/api/items", { json = { name = "lamp", price = 1 } }).status)
    assert.equal(422, c:post("/api/items", { json = { name = "", price = 0 } }).status)
    local path = "/api/items/" .. lamp.id
    assert.equal(1300, c:patch(path, { json = { price = 1300 } }):json().price)
    assert.equal(8, c:post(path .. "/deliveries", { json = { count = 5 } }):json().stock)
    assert.same({ id = lamp.id, name = "lamp", price = 1300, stock = 8, note = "red" }, c:get(path):json())
    assert.equal(404, c:get("/api/items/999999").status)
    shop.has("cup_1", 300, 1)
    assert.same({ 2, 1, 1, 1, 0 }, { #c:get("/api/items"):json(), #c:get("/api/items?q=LAM"):json(),
      #c:get("/api/items?q=p_"):json(), #c:get("/api/items?after=cup_1"):json(), #c:get("/api/items?q=%25"):json() })
  end)

  it("has a cart for each", function()
    local c, lamp = shop.c, shop.has("lamp", 1250, 3)
    shop.act_as "ann"
    c:put("/api/cart/" .. lamp, { json = { count = 1 } })
    local cart = c:put("/api/cart/" .. lamp, { json = { count = 2 } }):json()
    assert.same({ lines = { { item_id = lamp, name = "lamp", count = 2, price = 1250 } }, total = 2500 }, cart)
    assert.equal(404, c:put("/api/cart/999999", { json = { count = 1 } }).status)
    shop.act_as "bob"
    assert.same({ lines = {}, total = 0 }, c:get("/api/cart"):json())
    assert.same({}, c:delete("/api/cart/" .. lamp):json().lines)
    assert.equal(3, shop.stock_of(lamp))
  end)

  it("shows its metrics to who has the key", function()
    assert.equal(401, shop.c:get("/metrics").status)
    local res = shop.c:get("/metrics", { auth = require("settings").metrics_key })
    assert.matches("http_server_request_duration_seconds_count", res.body)
    assert.is_true(ml.json.decode(shop.c:get("/healthz").body) ~= nil)
  end)
end)
