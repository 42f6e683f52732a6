local clock = require "moonloop.clock"
local helper = require "helper"
local ml = require "moonloop"

local shop, stores = helper.set_up(), helper.stores

describe("an order", function()
  --- What a user who has `count` of an item in the cart is answered when ordering for `total`.
  local function order(item, count, total, card)
    assert.equal(200, shop.c:put("/api/cart/" .. item, { json = { count = count } }).status)
    return shop.c:post("/api/orders", { json = { card = card or "visa", total = total } })
  end

  local function state() return shop.c:get("/api/orders"):json()[1].state end

  it("takes the stock, and is paid by a job", function()
    local lamp = shop.has("lamp", 1250, 3)
    shop.act_as "ann"
    local res = order(lamp, 2, 2500)
    assert.same({ 202, "placed", 2500 }, { res.status, res:json().state, res:json().total })
    assert.equal(1, shop.stock_of(lamp))
    assert.equal(0, #shop.gateway.charges) -- nobody has waited for the gateway
    assert.equal(1, stores.jobs:drain())
    local id = res:json().id
    assert.same({ { key = "order-" .. id, amount = 2500, card = "visa" } }, shop.gateway.charges)
    local found = shop.c:get("/api/orders"):json()[1]
    assert.equal("paid", found.state)
    assert.same({ { item_id = lamp, name = "lamp", count = 2, price = 1250 } }, found.lines)
    assert.is_nil(stores.db:value("select card from orders where id = $1", id))
  end)

  it("is all or nothing", function()
    local lamp, cup = shop.has("lamp", 1250, 3), shop.has("cup", 300, 1)
    shop.act_as "ann"
    shop.c:put("/api/cart/" .. lamp, { json = { count = 1 } })
    local res = order(cup, 2, 1850)
    assert.same({ 409, "only 1 of cup are left" }, { res.status, res:json().detail })
    assert.same({ 3, 1, 2, 0 }, { shop.stock_of(lamp), shop.stock_of(cup), #shop.c:get("/api/cart"):json().lines,
      #stores.jobs:list() })
  end)

  it("is at the price that the customer has seen", function()
    local lamp = shop.has("lamp", 1250, 3)
    shop.act_as "ann"
    local res = order(lamp, 1, 1200)
    assert.same({ 409, "prices have changed", 3 }, { res.status, res:json().detail, shop.stock_of(lamp) })
  end)

  it("is there once, when it is sent twice at the same time", function()
    local lamp = shop.has("lamp", 1250, 3)
    shop.act_as "ann"
    shop.c:put("/api/cart/" .. lamp, { json = { count = 1 } })
    local function send() return shop.c:post("/api/orders", { json = { card = "visa", total = 1250 } }).status end
    local statuses = { ml.gather(send, send) }
    table.sort(statuses)
    assert.same({ 202, 409, 2 }, { statuses[1], statuses[2], shop.stock_of(lamp) })
  end)

  it("gets the last ones to one customer of many", function()
    local lamp, statuses = shop.has("lamp", 1250, 1), {}
    local orders = require "orders"
    local users = {}
    for i = 1, 5 do
      users[i] = shop.act_as("user" .. i)
      assert.equal(200, shop.c:put("/api/cart/" .. lamp, { json = { count = 1 } }).status)
    end
    ml.map(users, function(user)
      local ok, err = pcall(orders.place, user, "visa", 1250)
      local status = ok and 202 or err.status
      statuses[status] = (statuses[status] or 0) + 1
    end)
    assert.same({ [202] = 1, [409] = 4 }, statuses)
    assert.equal(0, shop.stock_of(lamp))
  end)

  it("whose card is refused gives the stock back", function()
    local lamp = shop.has("lamp", 1250, 3)
    shop.act_as "ann"
    shop.gateway.answer = function() return "refused" end
    order(lamp, 2, 2500)
    assert.equal(1, stores.jobs:drain())
    assert.same({ "refused", 3 }, { state(), shop.stock_of(lamp) })
  end)

  it("waits longer and longer for a gateway that is away", function()
    clock.virtual()
    local lamp, start, times = shop.has("lamp", 1250, 3), ml.now(), {}
    shop.act_as "ann"
    shop.gateway.answer = function()
      times[#times + 1] = ml.now() - start
      if #times < 5 then return nil, "nobody answers" end
      return "paid"
    end
    order(lamp, 1, 1250)
    for _ = 1, 300 do
      stores.jobs:drain()
      ml.sleep(1)
    end
    assert.equal(5, #times)
    for i, least in ipairs { 0, 5, 15, 35, 75 } do -- and up to a tenth more at random
      assert.is_true(times[i] >= least and times[i] <= 1.1 * least + 5, ("attempt %d after %g s"):format(i, times[i]))
    end
    assert.equal("paid", state())
  end)

  it("is charged with the same key when its job runs again", function()
    local lamp = shop.has("lamp", 1250, 3)
    shop.act_as "ann"
    local id = order(lamp, 1, 1250):json().id
    local orders = require "orders"
    -- Two workers have the job: one of them was taken for dead.
    ml.gather({ orders.charge, id, shop.gateway }, { orders.charge, id, shop.gateway })
    for _, charge in ipairs(shop.gateway.charges) do assert.equal("order-" .. id, charge.key) end
    local asked = #shop.gateway.charges
    assert(orders.charge(id, shop.gateway))
    assert.same({ asked, "paid", 2 }, { #shop.gateway.charges, state(), shop.stock_of(lamp) })
  end)
end)

describe("a cart", function()
  it("is forgotten when nobody has touched it for a day", function()
    clock.virtual()
    local lamp, cup = shop.has("lamp", 1250, 3), shop.has("cup", 300, 1)
    shop.act_as "ann"
    shop.c:put("/api/cart/" .. lamp, { json = { count = 1 } })
    local function lines() return #shop.c:get("/api/cart"):json().lines end
    stores.jobs:drain() -- the schedule begins
    ml.sleep(20 * 3600)
    stores.jobs:drain()
    shop.c:put("/api/cart/" .. cup, { json = { count = 1 } }) -- touched
    ml.sleep(20 * 3600)
    stores.jobs:drain()
    assert.equal(2, lines())
    ml.sleep(5 * 3600)
    stores.jobs:drain()
    assert.equal(0, lines())
  end)
end)
