--- The blocks of the documents; of them, configurations of other programs as specs start them.
local folders = require "spec.support.folder"
local assert = require "luassert"

local M = {}

--- The blocks of a language in a document, in its order.
function M.blocks(path, language)
  local list = {}
  for text in folders.read(path):gmatch("\n```" .. language .. "\n(.-)\n```") do list[#list + 1] = text end
  assert(#list > 0, path .. " has no " .. language)
  return list
end

--- A proxy's configuration with the app at the port `behind` and the proxy at `port`: the documents have 8000 and
-- 8080, each of them once.
function M.at_ports(text, behind, port)
  local n, m
  text, n = text:gsub("127%.0%.0%.1:8000", "127.0.0.1:" .. behind)
  text, m = text:gsub("127%.0%.0%.1:8080", "127.0.0.1:" .. port)
  assert.same({ 1, 1 }, { n, m })
  return text
end

return M
