--- The routes of an app and of those mounted in it.
local M = {}

--- Calls visit(route, prefix, apps) for each route of the tree; `apps` are the apps that it is in, the outermost
-- first. The routes of an app that is mounted at several places come at each.
function M.each(app, visit)
  local function walk(one, prefix, outer)
    local apps = table.move(outer, 1, #outer, 1, {})
    apps[#apps + 1] = one
    for _, route in ipairs(one.routes) do visit(route, prefix, apps) end
    for _, mount in ipairs(one.mounts) do walk(mount.app, prefix .. mount.prefix, apps) end
  end
  walk(app, "", {})
end

--- Those that the app has made itself, which are all but those of its documentation: a list of {route =, path =}.
function M.own(app)
  local list = {}
  M.each(app, function(route, prefix, apps)
    local docs = apps[#apps].docs_handlers
    if docs and docs[route.handler] then return end
    list[#list + 1] = { route = route, path = prefix .. route.path }
  end)
  return list
end

return M
