local helper = require "helper"
local accounts = require "accounts"
local shop, stores = helper.set_up(), helper.stores

describe("the pages", function()
  local PASSWORD = "correct horse"

  --- Registers somebody, who logs in: the name.
  local function log_in(role)
    local name = helper.new_name()
    accounts.register(name, PASSWORD, role)
    local res = shop.c:post("/login", { form = { name = name, password = PASSWORD } })
    assert.matches("Log out " .. name, res.body)
    return name
  end

  it("sell", function()
    local c, lamp = shop.c, shop.has("<lamp>", 1250, 3)
    assert.matches("<b>&lt;lamp&gt;</b> 12.50, <span data%-stock=\"" .. lamp, c:get("/").body)
    assert.matches("<h1>Log in</h1>", c:get("/cart").body) -- redirected
    assert.matches("Log out bob", c:post("/register", { form = { name = "bob", password = PASSWORD } }).body)
    assert.matches("2 × &lt;lamp&gt;", c:post("/cart/" .. lamp, { form = { count = 2 } }).body)
    local res = c:post("/orders", { form = { card = "visa", total = 2500 } })
    assert.matches("placed</b>: 25.00", res.body)
    stores.jobs:drain()
    assert.matches("paid</b>: 25.00", c:get("/orders").body)
    assert.matches('<a href="/login">', c:post("/logout").body)
  end)

  it("say what is wrong", function()
    local c, lamp = shop.c, shop.has("lamp", 1250, 3)
    local name = log_in()
    local res = c:post("/cart/" .. lamp, { form = { count = 1000 } })
    assert.equal(422, res.status)
    assert.matches("count: Input should be less than or equal to 100", res.body)
    res = c:post("/orders", { form = { card = "visa", total = 1 } })
    assert.equal(409, res.status)
    assert.matches("the cart is empty", res.body)
    assert.equal(404, c:get("/nothing").status)
    assert.equal(401, c:post("/login", { form = { name = name, password = "wrong horse" } }).status)
  end)

  it("take forms of no other site", function()
    log_in()
    local res = shop.c:post("/logout", { headers = { ["Sec-Fetch-Site"] = "cross-site" } })
    assert.same({ 403, 200 }, { res.status, shop.c:get("/orders", { follow_redirects = false }).status })
    assert.matches("default%-src 'self'", shop.c:get("/").headers["content-security-policy"])
  end)

  it("let nobody guess passwords, by a second name in the form neither", function()
    local name = helper.new_name()
    local function guess(other)
      return shop.c:post("/login", { form = { name = name, username = other, password = "1234" } }).status
    end
    for i = 1, 5 do assert.equal(401, guess("other" .. i)) end
    assert.equal(429, guess "another")
  end)

  it("for the admin are for nobody else", function()
    assert.equal(303, shop.c:get("/admin", { follow_redirects = false }).status)
    log_in()
    assert.equal(403, shop.c:get("/admin").status)
    assert.equal(403, shop.c:post("/admin/items", { form = { name = "lamp", price = "12.50" } }).status)
  end)

  it("for the admin run the shop", function()
    local c, name = shop.c, log_in "admin"
    assert.matches("<td>&lt;script&gt;</td>\n<td>12.50</td>",
      c:post("/admin/items", { form = { name = "<script>", price = "12.50" } }).body)
    assert.equal(422, c:post("/admin/items", { form = { name = "cup", price = "3.5" } }).status)
    local id = assert(stores.db:value "select id from items")
    c:post(("/admin/items/%d/deliveries"):format(id), { form = { count = 10 } })
    assert.equal(10, shop.stock_of(id))
    assert(stores.db:update("users", { role = "customer" }, { name = name }))
    assert.equal(403, c:get("/admin").status) -- at once
  end)

  it("for the admin show payments that have failed for good, and try again", function()
    local c, lamp = shop.c, shop.has("lamp", 1250, 3)
    log_in "admin"
    c:post("/cart/" .. lamp, { form = { count = 1 } })
    c:post("/orders", { form = { card = "visa", total = 1250 } })
    shop.gateway.answer = function() return nil, "nobody answers" end
    local id = stores.jobs:list()[1].id
    for _ = 1, 12 do
      stores.jobs:retry(id)
      stores.jobs:drain()
    end
    assert.matches("tried 12 times", c:get("/admin").body)
    shop.gateway.answer = nil
    c:post(("/admin/jobs/%d/retry"):format(id))
    assert.equal(1, stores.jobs:drain())
    assert.matches("<td>paid</td>", c:get("/admin").body)
    assert.equal(404, c:post(("/admin/jobs/%d/retry"):format(id)).status)
  end)
end)

describe("the live stock", function()
  it("comes first as it is, then as it changes", function()
    local lamp, ann = shop.has("lamp", 1250, 3), shop.act_as "ann"
    local ws <close> = assert(shop.c:websocket "/live/stock")
    assert.same({ id = lamp, stock = 3, version = 0 }, ws:receive_json())
    shop.c:put("/api/cart/" .. lamp, { json = { count = 2 } })
    require("orders").place(ann, "visa", 2500)
    assert.same({ id = lamp, stock = 1, version = 1 }, ws:receive_json())
    shop.gateway.answer = function() return "refused" end
    stores.jobs:drain()
    assert.same({ id = lamp, stock = 3, version = 2 }, ws:receive_json())
  end)

  it("is not told of what was taken back", function()
    local lamp, cup = shop.has("lamp", 1250, 3), shop.has("cup", 300, 1)
    local ann = shop.act_as "ann"
    for _, id in ipairs { lamp, cup } do shop.c:put("/api/cart/" .. id, { json = { count = 2 } }) end
    local ws <close> = assert(shop.c:websocket "/live/stock")
    for _ = 1, 2 do assert(ws:receive_json()) end
    assert.is_false(pcall(require("orders").place, ann, "visa", 3100))
    require("catalogue").deliver(cup, 1)
    assert.same({ id = cup, stock = 2, version = 1 }, ws:receive_json())
  end)
end)
