-- Random schemas for queries and forms: values that fit come back as they were, also from cookies and headers;
-- anything else is a 422 or a 400, and the fast way says the same as the slow one.
local ml = require "moonloop"
local json = require "moonloop.json"
local support = require "spec.support.web"

local s, web = ml.schema, ml.web
local random = math.random
local ROUTES, GARBAGE = 30, 6

local function pick(list) return list[random(#list)] end

--- Text of up to n characters, any of UTF-8.
local function text(n)
  local chars = {}
  for i = 1, random(1, n) do
    chars[i] = utf8.char(pick { random(32, 126), random(32, 126), random(0xA0, 0x7FF), random(0x1F300, 0x1F5FF) })
  end
  return table.concat(chars)
end

-- Kinds of fields: how to make the schema, a value that fits, and texts of it.
local KINDS = {
  int = { s.int { min = -1000, max = 1000 }, function() return random(-1000, 1000) end,
    function(v) return pick { "%d", " %d", "%d.0", "%d " }:format(v) end },
  number = { s.number(), function() return random(-10000, 10000) / 16 end,
    function(v) return pick { "%.4f", "%.8e", " %.6f" }:format(v) end },
  bool = { s.bool(), function() return random(2) == 1 end,
    function(v) return pick(v and { "true", "on", "1", "YES", "t" } or { "false", "off", "0", "No", "f" }) end },
  string = { s.string { min = 1, max = 20 }, function() return text(20) end, function(v) return v end },
  enum = { s.enum { "a", "b c", "ü" }, function() return pick { "a", "b c", "ü" } end, function(v) return v end },
  date = { s.date(), function() return ("20%02d-0%d-1%d"):format(random(10, 30), random(9), random(0, 9)) end,
    function(v) return v end },
}
local NAMES = { "int", "number", "bool", "string", "enum", "date" }

--- A field: {name =, schema =, make = function() -> value | nil, list of texts}
local function random_field(i)
  local kind = KINDS[pick(NAMES)]
  local name, schema = "f" .. i, kind[1]
  local is_list, absence = random(4) == 1, random(3)
  if is_list then schema = s.list(schema) end
  local default
  if absence == 1 then schema = schema:optional() end
  if absence == 2 then
    default = is_list and {} or kind[2]()
    schema = schema:default(default)
  end
  return { name = name, schema = schema, make = function()
    if absence < 3 and random(3) == 1 then return default, {} end
    if not is_list then
      local value = kind[2]()
      return value, { kind[3](value) }
    end
    local values, texts = {}, {}
    for n = 1, random(4) do
      values[n] = kind[2]()
      texts[n] = kind[3](values[n])
    end
    return values, texts
  end }
end

local function escape(value)
  return (value:gsub("[^%w]", function(c)
    if c == " " and random(2) == 1 then return "+" end
    return ("%%%02x"):format(c:byte())
  end))
end

--- The texts of the fields as urlencoded and as a multipart form, in a random order of names.
local function encode(pairs_of)
  local query, parts = {}, {}
  for i, pair in ipairs(pairs_of) do
    query[i] = escape(pair[1]) .. "=" .. escape(pair[2])
    parts[i] = ('--X\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'):format(pair[1], pair[2])
  end
  return table.concat(query, "&"), table.concat(parts) .. "--X--\r\n"
end

local function shuffled_pairs(value_texts)
  local list = {}
  for _, item in ipairs(value_texts) do -- those of one name stay in order
    local at = 0
    for _, one in ipairs(item[2]) do
      at = random(at + 1, #list + 1)
      table.insert(list, at, { item[1], one })
    end
  end
  return list
end

local FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
local MULTIPART = "Content-Type: multipart/form-data; boundary=X\r\n"

describe("random schemas of routes", function()
  local app, routes = web.app(), {}
  math.randomseed(os.getenv "SEED" and tonumber(os.getenv "SEED") or 20261129)
  for i = 1, ROUTES do
    local fields, object = {}, {}
    for n = 1, random(6) do
      fields[n] = random_field(n)
      object[n] = { fields[n].name, fields[n].schema }
    end
    object = s.object(object, { extra = random(3) == 1 and "forbid" or "ignore" })
    routes[i] = fields
    local function answer(part) return function(req) return { got = req.valid[part] } end end
    app:get("/quick/" .. i, { query = object }, answer "query")
    -- C alone calls no :check functions.
    app:get("/slow/" .. i, { query = object:check(function() end) }, answer "query")
    app:post("/form/" .. i, { form = object }, answer "form")
  end

  it("give back the values that fit", function()
    support.serving(app, function(port)
      for i, fields in ipairs(routes) do
        local expected, texts = {}, {}
        for n, field in ipairs(fields) do
          local value, list = field.make()
          expected[field.name] = value
          texts[n] = { field.name, list }
        end
        local query, multipart = encode(shuffled_pairs(texts))
        for _, res in ipairs {
          support.get(port, ("/quick/%d?%s"):format(i, query)), support.get(port, ("/slow/%d?%s"):format(i, query)),
          support.post(port, "/form/" .. i, query, FORM), support.post(port, "/form/" .. i, multipart, MULTIPART),
        } do
          assert.equal(200, res.status, res.body)
          assert.same(expected, json.decode(res.body).got)
        end
      end
    end)
  end)

  --- Something that a form or a query may be.
  local function garbage(fields)
    local list = {}
    for n = 1, random(0, 5) do
      local name = random(3) > 1 and pick(fields).name or pick { "", "f9", "all", "f1[]", text(5) }
      list[n] = { name, pick { "", "x", "NaN", "1e999", "inf", "-", ("9"):rep(30), "0x10", "2026-13-40", text(30),
        ("y"):rep(1100) } }
    end
    local query, multipart = encode(list)
    if random(4) == 1 then
      query = query:gsub("[%w%%]", function(c) return random(10) == 1 and pick { "%", "&", "=", "%ff", "%00" } or c end)
      multipart = multipart:gsub("[\r\n-]", function(c) return random(10) == 1 and "" or c end)
    end
    return query, multipart
  end

  local function check(res, allowed)
    assert.is_true(allowed[res.status], ("%d %s"):format(res.status, res.body))
    local value = json.decode(res.body)
    if res.status ~= 422 then return end
    assert.is_true(#value.detail > 0)
    for _, err in ipairs(value.detail) do
      assert.is_string(err.type)
      assert.is_string(err.msg)
      assert.is_true(err.loc[1] == "query" or err.loc[1] == "body")
      assert.is_not_nil(err.input)
    end
  end

  it("refuse what does not fit, the same way by C alone", function()
    support.serving(app, function(port)
      for i, fields in ipairs(routes) do
        for _ = 1, GARBAGE do
          local query, multipart = garbage(fields)
          local quick = support.get(port, ("/quick/%d?%s"):format(i, query))
          check(quick, { [200] = true, [422] = true })
          local slow = support.get(port, ("/slow/%d?%s"):format(i, query))
          assert.same(json.decode(slow.body), json.decode(quick.body))
          check(support.post(port, "/form/" .. i, query, FORM), { [200] = true, [422] = true, [400] = true })
          check(support.post(port, "/form/" .. i, multipart, MULTIPART), { [200] = true, [422] = true, [400] = true })
        end
      end
    end)
  end)
end)
