-- For wrk, not for moonloop: POST /sum with a list of a hundred integers.
-- luacheck: globals wrk
local items = {}
for i = 1, 100 do items[i] = i * 3 end
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"items":[' .. table.concat(items, ",") .. "]}"
