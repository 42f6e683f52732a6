--- The first screen of `moonloop dev`: where the app is, and its routes.
local own_routes = require "moonloop.web.route_list".own

local M = {}

local MOST = 60 -- routes

--- The routes of the app as lines, in columns.
function M.routes(app)
  local rows, method, path = {}, 0, 0
  for i, one in ipairs(own_routes(app)) do
    rows[i] = { one.route.check and "SOCKET" or one.route.method, one.path, one.route.place or "" }
  end
  for i, row in ipairs(rows) do
    method, path = math.max(method, #row[1]), i <= MOST and math.max(path, math.min(#row[2], 50)) or path
  end
  local lines = {}
  for i, row in ipairs(rows) do
    if i > MOST then
      lines[#lines + 1] = ("  ... and %d more"):format(#rows - MOST)
      break
    end
    lines[#lines + 1] = (("  %-" .. method .. "s  %-" .. path .. "s  %s"):format(row[1], row[2], row[3]))
      :gsub("%s+$", "")
  end
  return lines
end

--- @param about table: file, version, addresses (list of URLs), app, links (list of {url, what}), workers (of jobs)
--- @return string
function M.text(about)
  local lines = { ("moonloop %s: %s on %s (Ctrl-C stops)"):format(about.version, about.file,
    table.concat(about.addresses, ", ")), "" }
  local width = 0
  for _, link in ipairs(about.links) do width = math.max(width, #link[1]) end
  for _, link in ipairs(about.links) do
    lines[#lines + 1] = ("  %s%s  %s"):format(link[1], (" "):rep(width - #link[1]), link[2])
  end
  lines[#lines + 1] = ""
  table.move(M.routes(about.app), 1, 1000, #lines + 1, lines)
  lines[#lines + 1] = ""
  if about.workers > 0 then lines[#lines + 1] = "It runs the app's jobs, too." end
  lines[#lines + 1] = "It starts anew when its code changes; errors are shown to browsers on this machine."
  return table.concat(lines, "\n") .. "\n"
end

return M
