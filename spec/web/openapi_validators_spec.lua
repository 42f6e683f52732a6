-- Documents of examples and of random apps, by validators that others wrote.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local npm = require "spec.support.npm"
local openapi = require "moonloop.web.openapi"
local random_app = require "spec.support.random_app"
local random_schema = require "spec.support.random_schema"
local web = require "spec.support.web"

local APPS = 200 -- each fourth of them in the older version

local EXAMPLES = { "api", "app", "stream", "upload" }

--- Writes the documents into a new folder. Returns it and the paths.
local function documents()
  local folder = folders.new {}
  local paths = {}
  local function add(name, app)
    local path = ("%s/%s.json"):format(folder.path, name)
    folders.write(path, (openapi.text(app)))
    paths[#paths + 1] = path
  end
  for i = 1, APPS do
    add("random" .. i, random_app.new(random_schema.generator(i), { openapi = i % 4 == 0 and "3.0" or nil }))
  end
  for _, name in ipairs(EXAMPLES) do add(name, ml.web.load(("scripts/examples/%s.lua"):format(name))) end
  return folder, paths
end

npm.block(describe, pending, "documents pass", function()
  local folder, paths, other
  setup(function()
    folder, paths = documents()
    -- The two run at the same time.
    other = io.popen("timeout 300 python3 spec/support/npm/validate.py 2>&1 " .. table.concat(paths, " "))
  end)
  teardown(function()
    if io.type(other) == "file" then other:close() end
    if folder then folder:close() end
  end)

  it("swagger-parser and @seriousme/openapi-schema-validator", function()
    assert.equal("done\n", npm.run("validate.mjs", table.unpack(paths)))
  end)

  it("openapi-spec-validator", function()
    local output = other:read "a"
    if output:find "No module named 'openapi_spec_validator'" then
      return pending "python3 has no openapi_spec_validator"
    end
    assert.equal("done\n", output)
  end)
end)

npm.block(describe, pending, "requests made from documents", function()
  it("are answered as Ajv judges their values", function()
    local accepted, refused = 0, 0
    for i = 1, 4 do
      local app = random_app.new(random_schema.generator(i + 900), { open = true })
      web.serving(app, function(port)
        local output = npm.run_beside("requests.mjs", ("http://127.0.0.1:%d"):format(port), "200", tostring(i))
        local good, bad = output:match "^done: (%d+) (%d+)\n$"
        assert(good, output)
        accepted, refused = accepted + good, refused + bad
      end)
    end
    assert(accepted > 150 and refused > 150, accepted .. " " .. refused)
  end)
end)
