-- What is on the disk before a file gets its name: after a crash there is the old content or the new, and
-- never a part of it. The order of the calls is what spec/support/file_order.c writes down.
local binary = require("spec.support").binary
local folders = require "spec.support.folder"
local process = require "spec.support.process"

local SHIM = process.quote(binary:match "^(.*)/" .. "/spec/file_order.so")
-- The sanitizer's library wants to be first.
local BEFORE = "export ASAN_OPTIONS=\"$ASAN_OPTIONS:verify_asan_link_order=0\" LD_PRELOAD=%s FILE_ORDER=order; cd %s;"

--- Runs the code in a new folder, with files; gives what was done to files, in order.
local function order(code, files)
  local folder <close> = folders.new(files or {})
  local path = process.quote(folder.path)
  local output, status = process.run(code, nil, BEFORE:format(SHIM, path))
  assert.equal(0, status, output)
  local name = folder.path:match "[^/]+$"
  local text = folders.read(folder.path .. "/order"):gsub("sync " .. name:gsub("%p", "%%%0") .. "\n", "sync FOLDER\n")
  return (text:gsub("%.?f%.%x+%.%l+", "PART"))
end

local UPLOAD = [[
  local app = ml.web.app()
  app:post("/", function(req) return { assert(req:parts()():save("f", { replace = %s })) } end)
  local server = assert(ml.web.listen(app, { port = 0 }))
  local res = assert(ml.http.post("http://127.0.0.1:" .. server.port, {
    multipart = { f = { filename = "x", body = ("x"):rep(300000) } } }))
  assert(res.status == 200, res.body)
  server:stop(0)
]]

describe("a file's content is on the disk before it gets its name", function()
  for _, replaces in ipairs { false, true } do
    it(("when an upload is saved (replace = %s)"):format(replaces), function()
      assert.equal("sync PART 300000\nname PART f\n", order(UPLOAD:format(replaces), replaces and { f = "old" }))
    end)
  end

  it("when ml.fs.write is atomic, and the name is, too, with `sync`", function()
    local write = 'assert(ml.fs.write("f", ("x"):rep(300000), { atomic = true, sync = %s }))'
    assert.equal("sync PART 300000\nname PART f\n", order(write:format "nil", { f = "old" }))
    assert.equal("sync PART 300000\nname PART f\nsync FOLDER\n", order(write:format "true", { f = "old" }))
  end)

  it("when ml.fs.write is told to", function()
    local write = 'assert(ml.fs.write("f", ("x"):rep(300000), { sync = true }))'
    assert.equal("sync f 300000\nsync FOLDER\n", order(write))
    assert.equal("sync f 300000\n", order(write, { f = "old" }))
  end)
end)
