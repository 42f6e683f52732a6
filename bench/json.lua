-- What JSON costs, ml.json against lua-cjson: build/release/moonloop bench/json.lua [ROUNDS]
--
-- Prints nanoseconds a call and their ratio: the median over the rounds, in which the two codecs
-- take turns so that a slow period of the machine touches both alike.
local json = require("moonloop").json
local cjson = require "cjson"

local rounds = math.tointeger(tonumber(arg[1] or 9))
assert(rounds and rounds > 0, "the argument is a number of rounds")

local function list(n, f)
  local t = {}
  for i = 1, n do t[i] = f(i) end
  return t
end

local function record(i)
  return {
    id = i, name = "user " .. i, email = ("user%d@example.com"):format(i), active = i % 2 == 0, score = i / 8,
    about = ("Some text that is not very long, with a \"quote\" and naïve café. "):rep(3),
    tags = {"alpha", "beta", "gamma"}, address = {street = i .. " Main Street", zip = 10000 + i},
  }
end

local documents = {
  {"small reply", {message = "Hello, World!", n = list(10, function(i) return i end)}},
  {"100 integers", list(100, function(i) return i * 37 end)},
  {"100 short floats", list(100, function(i) return i / 8 end)},
  {"100 long floats", list(100, math.sin)},
  {"1 MB document", list(2600, record)},
}

local function median(t)
  table.sort(t)
  return t[(#t + 1) // 2]
end

--- Nanoseconds of one f(argument), over `n` calls.
local function cost(f, argument, n)
  collectgarbage()
  local start = os.clock()
  for _ = 1, n do f(argument) end
  return (os.clock() - start) / n * 1e9
end

local function compare(name, ours, theirs, argument, n)
  local a, b, ratios = {}, {}, {}
  for i = 1, rounds do
    a[i], b[i] = cost(ours, argument, n), cost(theirs, argument, n)
    ratios[i] = a[i] / b[i]
  end
  print(("%-26s %12.0f %12.0f %8.2f"):format(name, median(a), median(b), median(ratios)))
end

print(("%-26s %12s %12s %8s"):format("ns a call", "ml.json", "cjson", "ratio"))
for _, document in ipairs(documents) do
  local name, value = document[1], document[2]
  local text = cjson.encode(value)
  local n = math.max(3, 4000000 // #text)
  compare("encode " .. name, json.encode, cjson.encode, value, n)
  compare("decode " .. name, json.decode, cjson.decode, text, n)
end
