-- For wrk, not for moonloop: POST /order with the order of order.json, which is beside this file.
-- luacheck: globals wrk
local file = assert(io.open(debug.getinfo(1, "S").source:match "^@(.*/)" .. "order.json"))
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = file:read "*a"
file:close()
