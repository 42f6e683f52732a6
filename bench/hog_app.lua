-- The server of bench/hog.sh: one route that computes for some 40 ms, whole and in time slices.
local ml = require "moonloop"
local app = ml.web.app()

local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end

--- About 40 ms on the machine the figures of the issue come from.
local function compute(req) return { fib = fib(req.query.n and tonumber(req.query.n) or 28) } end

app:get("/plaintext", function() return "Hello, World!" end)
app:get("/hog", compute)
app:get("/sliced", { slice = 0.002 }, compute)
app:get("/offloaded", { offload = true }, compute)

return app
