-- The shop without a server: on SQLite in memory, or on what TEST_DATABASE_URL and TEST_REDIS_URL lead to. What is
-- there is deleted.
local busted = require "busted"
local ml = require "moonloop"

package.loaded.settings = setmetatable({
  database_url = os.getenv "TEST_DATABASE_URL" or "sqlite::memory:",
  redis_url = os.getenv "TEST_REDIS_URL" or false,
}, { __index = require "settings" })

local accounts = require "accounts"
local payments = require "payments"
local stores = require "stores"

local M = { app = require "app", stores = stores }

--- A gateway that keeps what it is asked for, in gateway.charges, and answers with gateway.answer(charge), or "paid".
function M.fake_gateway()
  local gateway = { charges = {} }
  function gateway.charge(charge)
    table.insert(gateway.charges, charge)
    if gateway.answer then return gateway.answer(charge) end
    return "paid"
  end
  return gateway
end

--- A name that nobody has had: tries to log in are counted by name, and for a minute.
function M.new_name() return "u" .. ml.web.token():lower():gsub("%W", ""):sub(1, 20) end

--- For the top of a spec file: each of its specs finds its test client in `shop.c`, a fake gateway in `shop.gateway`,
-- and the tables empty.
function M.set_up()
  local shop, overrides = {}, nil
  busted.setup(function() shop.c = ml.web.test(M.app, { headers = { ["Sec-Fetch-Site"] = "same-origin" } }) end)
  busted.teardown(function()
    shop.c:close()
    stores.close()
  end)
  busted.before_each(function()
    for _, name in ipairs { "order_lines", "orders", "cart_lines", "items", "users" } do
      assert(stores.db:exec("delete from " .. name))
    end
    for _, job in ipairs(assert(stores.jobs:list())) do stores.jobs:cancel(job.id) end
    shop.c:clear_cookies()
    shop.gateway = M.fake_gateway()
    overrides = { M.app:override(payments.gateway, function() return shop.gateway end) }
  end)
  busted.after_each(function()
    for _, override in ipairs(overrides) do override:close() end
  end)

  --- Makes all requests come from a new user, without a password and a token. Returns the id.
  function shop.act_as(name, role)
    local user = { name = name, password = "none", role = role or "customer" }
    local id = assert(stores.db:insert("users", user, { returning = "id" }))[1].id
    table.insert(overrides, M.app:override(accounts.user, function()
      return { id = id, scopes = role == "admin" and "admin" or "" }
    end))
    return id
  end

  --- An item of the catalogue: its id.
  function shop.has(name, price, stock)
    return assert(stores.db:insert("items", { name = name, price = price, stock = stock }, { returning = "id" }))[1].id
  end

  function shop.stock_of(id) return assert(stores.db:value("select stock from items where id = $1", id)) end

  return shop
end

return M
