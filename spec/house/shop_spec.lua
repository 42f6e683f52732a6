-- scripts/examples/shop: its own specs, and its client in TypeScript, made from its document and run against it.
local lfs = require "lfs"
local npm = require "spec.support.npm"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support"

local SHOP = "scripts/examples/shop"

describe("the shop", function()
  it("passes its own specs", function()
    local output, status = process.sh(("cd %s && '%s' test spec"):format(SHOP, support.binary))
    assert.equal(0, status, output)
  end)
end)

npm.block(describe, pending, "the shop's client", function()
  local folder

  --- Runs a program of npm in the folder: what it prints, and its status.
  local function run(command)
    return process.sh(("cd '%s' && timeout 300 node node_modules/.bin/%s"):format(folder.path, command))
  end

  local function compile(file, options)
    return run(("tsc --strict --target es2022 --module nodenext %s %s"):format(options, file))
  end

  setup(function()
    folder = folders.new { ["package.json"] = '{"type": "module"}' }
    local output, status = process.sh((
      "ln -s '%s/.deps/npm/node_modules' '%s' && cp %s/client/*.ts '%s' && '%s' openapi %s/app.lua > '%s/shop.json'")
      :format(lfs.currentdir(), folder.path, SHOP, folder.path, support.binary, SHOP, folder.path))
    assert.equal(0, status, output)
    output, status = run "openapi-typescript shop.json --default-non-nullable=false -o shop.ts"
    assert.equal(0, status, output)
  end)

  teardown(function() folder.close() end)

  it("compiles, and buys in the shop", function()
    local output, status = compile("client.ts", "")
    assert.equal(0, status, output)
    local export = ("export SHOP_DATABASE='sqlite:%s/shop.db';"):format(folder.path)
    local server <close> = process.serve(SHOP .. "/app.lua", nil, export)
    output, status = process.sh(("node '%s/client.js' %s"):format(folder.path, server.url))
    assert.same({ 0, "2500 for 2, 1 left: no note\n" }, { status, output })
    assert.equal(0, select(2, server:stop()))
  end)

  it("is not compiled with a mistake", function()
    local output, status = compile("wrong.ts", "--noEmit")
    assert.equal(2, status, output)
    local wrong, line = folders.read(SHOP .. "/client/wrong.ts"), 0
    for text in wrong:gmatch "([^\n]*)\n" do
      line = line + 1
      local is_wrong = output:find(("wrong.ts(%d,"):format(line), 1, true) ~= nil
      assert.equal(text:find("; //", 1, true) ~= nil, is_wrong, text .. "\n" .. output)
    end
  end)
end)
