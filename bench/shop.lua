-- The load of bench/shop: moonloop run bench/shop.lua URL SECONDS CUSTOMERS, on a shop (scripts/examples/shop) whose
-- database is DATABASE_URL and whose admin is ann. It prints lines KEY, tab, VALUE, and exits with 1 where any answer
-- was another than it should be, or what is in the database does not add up.
--
-- Each customer goes round: four pages of the catalogue, three items, two changes of the cart, an order.
local ml = require "moonloop"

local ITEMS, WATCHERS, STOCK, PASSWORD = 200, 10, 1000000, "correct horse"
local url, seconds, customers = arg[1], tonumber(arg[2]), tonumber(arg[3])
local db = ml.sql.open(os.getenv "DATABASE_URL", { slow = 60 })

local took = { list = {}, item = {}, cart = {}, order = {} } -- kind -> seconds of each request
local errors, first_error = 0, nil
local is_measured = false

local function wrong(text)
  errors = errors + 1
  first_error = first_error or text
end

--- Sends a request of that kind, and gives the value of its answer; nil if that is wrong.
local function ask(client, kind, status, method, path, json)
  local began = ml.now()
  local res, err = client:request { method = method, url = path, json = json }
  if not res or res.status ~= status then
    return wrong(("%s %s: %s"):format(method, path, res and res.status .. " " .. res.body or tostring(err)))
  end
  if is_measured then table.insert(took[kind], ml.now() - began) end
  return res:json()
end

local function client_of(name)
  local form = { username = name, password = PASSWORD }
  local token = assert(ml.http.post(url .. "/api/token", { form = form })):json().access_token
  return ml.http.client { base_url = url, auth = token, timeout = 60 }
end

local function customer(name)
  assert(assert(ml.http.post(url .. "/api/users", { json = { name = name, password = PASSWORD } })).status == 201)
  return client_of(name)
end

local function round(client, items)
  local function any() return items[math.random(#items)] end
  for _ = 1, 4 do ask(client, "list", 200, "GET", "/api/items?limit=20&after=item" .. math.random(100, 270)) end
  for _ = 1, 3 do ask(client, "item", 200, "GET", "/api/items/" .. any()) end
  local cart
  for _ = 1, 2 do cart = ask(client, "cart", 200, "PUT", "/api/cart/" .. any(), { count = math.random(3) }) end
  if cart then ask(client, "order", 202, "POST", "/api/orders", { card = "visa", total = cart.total }) end
end

local function quantile(list, share) return list[math.min(#list, math.floor(#list * share) + 1)] or 0 end

-- --- before ---

local admin = client_of "ann"
local items = {}
for i = 1, ITEMS do
  local item = { name = "item" .. 99 + i, price = 100 * i, stock = STOCK, note = ("note "):rep(20) }
  items[i] = (ask(admin, "item", 201, "POST", "/api/items", item) or error(first_error, 0)).id
end
local names = {}
for i = 1, customers do names[i] = "customer" .. i end
local clients = ml.map(names, customer, { limit = 4 })

local seen = 0
local watchers = {}
for i = 1, WATCHERS do
  local socket = assert(ml.ws.connect(url:gsub("^http", "ws") .. "/live/stock"))
  for _ = 1, ITEMS do assert(socket:receive()) end
  watchers[i] = ml.spawn(function()
    for _ in socket:messages() do seen = seen + 1 end
  end)
end

-- --- the load ---

local function all_go_round(for_seconds)
  local stop = ml.now() + for_seconds
  ml.map(clients, function(client)
    while ml.now() < stop do round(client, items) end
  end)
end

all_go_round(2)
is_measured = true
print "begin"
io.stdout:flush()
local began, seen_before = ml.now(), seen
local paid_before = assert(db:value "select count(*) from orders where state = 'paid'")
all_go_round(seconds)
local lasted = ml.now() - began
print "end"
io.stdout:flush()
local seen_meanwhile = seen - seen_before
local paid = assert(db:value "select count(*) from orders where state = 'paid'")
local waiting = assert(db:value "select count(*) from orders where state = 'placed'")
while assert(db:value "select count(*) from orders where state = 'placed'") > 0 do ml.sleep(0.05) end

-- --- what there must be ---

local taken = ITEMS * STOCK - assert(db:value "select cast(sum(stock) as bigint) from items")
local ordered = assert(db:value "select cast(sum(count) as bigint) from order_lines")
if taken ~= ordered then wrong(("%d are gone, and %d were ordered"):format(taken, ordered)) end
local lines = assert(db:value "select count(*) from order_lines")
ml.timeout(30, function()
  while seen < WATCHERS * lines do ml.sleep(0.05) end
end)
if seen ~= WATCHERS * lines then wrong(("%d messages of %d were seen"):format(seen, WATCHERS * lines)) end
for _, watcher in ipairs(watchers) do watcher:cancel() end

local count = 0
for kind, list in pairs(took) do
  table.sort(list)
  count = count + #list
  print(("%s\t%d\t%.2f\t%.2f"):format(kind, #list, quantile(list, 0.5) * 1000, quantile(list, 0.99) * 1000))
end
print(("requests\t%.0f"):format(count / lasted))
print(("jobs\t%.0f"):format((paid - paid_before) / lasted))
print(("waiting\t%d"):format(waiting))
print(("messages\t%.0f"):format(seen_meanwhile / lasted))
print(("errors\t%d"):format(errors))
db:close()
if errors > 0 then
  io.stderr:write(first_error, "\n")
  os.exit(1)
end
