-- What the release build does against the use of a fault (cmake/hardening.cmake), read off the program.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local objects = require "spec.support.objects"
local process = require "spec.support.process"
local support = require "spec.support"

--- What readelf prints of the program.
local function read(options)
  local output, status = process.sh(("readelf %s %s"):format(options, process.quote(support.binary)))
  assert.equal(0, status, output)
  return output
end

describe("the release build", function()
  local is_release = support.binary:find("/release/", 1, true)

  it("is hardened", function()
    if not is_release then return pending "another build" end
    local headers = read "-lW"
    assert.matches("GNU_RELRO", headers)
    assert.matches("Elf file type is DYN", headers) -- at an address that nobody knows
    assert.matches("GNU_STACK[^\n]* RW ", headers)
    assert.matches("NOW", read "-dW")
  end)

  it("checks frames and copies in its own code, not just in the libraries that are linked in", function()
    if not is_release then return pending "another build" end
    local all, why = objects.read()
    if not all then return pending(why) end
    local count, frames, copies = 0, 0, 0
    for _, object in pairs(all) do
      count = count + 1
      if object.uses.__stack_chk_fail then frames = frames + 1 end
      for name in pairs(object.uses) do
        if name:find "^__.*_chk$" then
          copies = copies + 1
          break
        end
      end
    end
    -- 367 and 134 of 505 when this was written; none without the options.
    assert(frames > count // 4, ("%d of %d files check their frames"):format(frames, count))
    assert(copies > count // 20, ("%d of %d files check their copies"):format(copies, count))
  end)

  it("is compiled as cmake/hardening.cmake says, each file of it", function()
    if not is_release then return pending "another build" end
    local all, why = objects.read()
    if not all then return pending(why) end
    local commands = folders.read((support.binary:gsub("[^/]+$", "compile_commands.json")))
    for _, entry in ipairs(assert(ml.json.decode(commands))) do
      local command = entry.command or table.concat(entry.arguments, " ")
      for _, option in ipairs { "-fstack-protector-strong", "-fstack-clash-protection", "-D_FORTIFY_SOURCE=2",
        "-Wformat=2" } do
        assert(command:find(option, 1, true), entry.file .. " is compiled without " .. option)
      end
      local last = command:match ".*(%-f%S*stack%-protector%S*)" -- a later one replaces it
      assert.equal("-fstack-protector-strong", last, entry.file)
    end
  end)
end)
