-- Patterns of names, at random, against a matcher that tries everything. MOONLOOP_SEED=n repeats the run that
-- printed n.
local pattern = require "moonloop.fs.pattern"

local random = math.random
local LETTERS <const> = { "a", "b", "c", ".", "-", "é" }

local function letter() return LETTERS[random(#LETTERS)] end

--- A name, as a list of its characters.
local function make_name()
  local name = {}
  for i = 1, random(0, 7) do name[i] = letter() end
  return name
end

--- Parts of a pattern: each has its `text`, and `takes(character)`, or is a `*`.
local function make_part()
  local kind, first, second = random(6), letter(), letter()
  if kind == 1 then return { text = "*", many = true } end
  if kind == 2 then return { text = "?", takes = function() return true end } end
  if kind == 3 then return { text = "\\" .. first, letter = first, takes = function(c) return c == first end } end
  if kind == 4 and first ~= "-" and second ~= "-" then
    local negated = random(2) == 1
    return { text = (negated and "[!%s%s]" or "[%s%s]"):format(first, second),
      takes = function(c) return (c == first or c == second) ~= negated end }
  end
  return { text = first, letter = first, takes = function(c) return c == first end }
end

local function matches(parts, name, i, at)
  local part = parts[i]
  if not part then return at > #name end
  if part.many then
    for rest = at, #name + 1 do
      if matches(parts, name, i + 1, rest) then return true end
    end
    return false
  end
  return at <= #name and part.takes(name[at]) and matches(parts, name, i + 1, at + 1)
end

describe("a random pattern", function()
  it("fits the names that it should", function()
    local seed = math.tointeger(tonumber(os.getenv "MOONLOOP_SEED" or random(1, 2 ^ 31 - 1)))
    math.randomseed(seed)
    local fitting = 0
    for _ = 1, 3000 do
      local parts, texts = {}, {}
      for i = 1, random(0, 6) do
        parts[i] = make_part()
        texts[i] = parts[i].text
      end
      local text = table.concat(texts)
      local tokens = pattern.compile(text)
      for _ = 1, 5 do
        local name = make_name()
        local hidden = name[1] == "." and not (parts[1] and parts[1].letter == ".")
        local expected = not hidden and matches(parts, name, 1, 1)
        local whole = table.concat(name)
        local message = ("%q and %q (MOONLOOP_SEED=%d)"):format(text, whole, seed)
        assert.equal(expected, pattern.matches(tokens, whole), message)
        if expected then fitting = fitting + 1 end
      end
    end
    assert(fitting > 100, fitting)
  end)

  it("with groups stands for each of their members", function()
    local seed = math.tointeger(tonumber(os.getenv "MOONLOOP_SEED" or random(1, 2 ^ 31 - 1)))
    math.randomseed(seed)
    local function make(depth)
      local text, all = "", { "" }
      for _ = 1, random(1, 3) do
        local pieces
        if depth > 0 and random(3) == 1 then
          pieces = {}
          local texts = {}
          for i = 1, random(2, 3) do
            local inner, each = make(depth - 1)
            texts[i] = inner
            table.move(each, 1, #each, #pieces + 1, pieces)
          end
          text = text .. "{" .. table.concat(texts, ",") .. "}"
        else
          pieces = { letter() }
          text = text .. pieces[1]
        end
        local longer = {}
        for _, before in ipairs(all) do
          for _, piece in ipairs(pieces) do longer[#longer + 1] = before .. piece end
        end
        all = longer
      end
      return text, all
    end
    for _ = 1, 500 do
      local text, all = make(2)
      local found = pattern.expand(text)
      if #all > 1000 then
        assert.is_nil(found)
      else
        table.sort(all)
        table.sort(found)
        assert.same(all, found, ("%q (MOONLOOP_SEED=%d)"):format(text, seed))
      end
    end
  end)
end)
