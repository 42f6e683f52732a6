-- A schema's document means to a JSON Schema validator of others what the schema means here.
local folders = require "spec.support.folder"
local json = require "moonloop.json"
local npm = require "spec.support.npm"
local random_schema = require "spec.support.random_schema"

local ROUNDS, TEXTS = 200, 30

npm.block(describe, pending, "json_schema()", function()
  it("means the same to Ajv", function()
    local lines = {}
    for round = 1, ROUNDS do
      local random, count = random_schema.generator(round + 5000), 0
      local function name()
        count = count + 1
        return count % 2 == 0 and "Thing" .. count or nil
      end
      local schema = random_schema.schema(random, 3, true, name)
      local texts, fits = json.array(), json.array()
      for i = 1, TEXTS do
        -- JSON Schema has no limit to what an integer is.
        texts[i] = random_schema.fitting(random, schema):gsub("1e300", "1"):gsub("9999+", "2")
        fits[i] = schema:decode(texts[i]) ~= nil
      end
      lines[round] = json.encode { schema = schema:json_schema(), texts = texts, fits = fits }
    end
    local file <close> = folders.file(table.concat(lines, "\n"))
    local output = npm.run("schemas.mjs", file.path)
    local fitting, failing = output:match "^done: (%d+) (%d+)\n$"
    assert(fitting, output)
    assert(tonumber(fitting) > 1000 and tonumber(failing) > 1000, output)
  end)
end)
