-- What a GET costs: build/release/moonloop bench/redis.lua N TASKS [BATCH]
--
-- N commands by TASKS tasks, each with BATCH (1) commands in a pipeline, on the server at REDIS_URL. Prints a line of
-- JSON; closed_loop.lua says what is in it.
local ml = require "moonloop"
local closed_loop = dofile((arg[0]:gsub("[^/]*$", "closed_loop.lua")))

local n, tasks, batch = tonumber(arg[1] or 100000), tonumber(arg[2] or 1), tonumber(arg[3] or 1)
local redis = ml.redis.client(os.getenv "REDIS_URL" or "redis://127.0.0.1:6379")
assert(redis:set("k0", "value number zero padded to some bytes"))

local function one() assert(redis:get "k0") end

local function fill(p)
  for _ = 1, batch do p:get "k0" end
end

local function many() assert(redis:pipeline(fill)) end

closed_loop("get-b" .. batch, n, tasks, batch == 1 and one or many, batch)
