--- An application as it is served: its routes and those of the applications mounted in it, with
-- their chains of middleware, in one router.
local chain = require "moonloop.web.chain"
local core = require "moonloop.web.core"
local route_options = require "moonloop.web.route_options"

local M = {}

--- The list a, followed by the list b.
local function join(a, b)
  local all = table.move(a, 1, #a, 1, {})
  return table.move(b, 1, #b, #a + 1, all)
end

--- Adds a route of the place's app to the router. Returns true | nil, what is wrong.
local function add(place, route)
  local opts, handler, cpu = route.opts, route.handler, route.opts.cpu
  if place.render then
    if cpu then handler, cpu = route_options.limited(handler, cpu), nil end
    local name = ("the handler of %s %s%s (%s)"):format(route.method, place.prefix, route.path, route.site)
    handler = chain.compose(place.middleware, place.render, handler, name)
  end
  local function add_at(path)
    return place.router:add(route.method, path, handler, opts.max_body, cpu, opts.slice,
      route.site)
  end
  if route.path == "/" and place.prefix ~= "" then
    local ok, wrong = add_at(place.prefix)
    if not ok then return nil, wrong end
  end
  return add_at(place.prefix .. route.path)
end

--- Opens a place for `app` at `prefix` of the router, below the place `outer` or nil, and for the
-- apps that are mounted in it. All places are appended to `places`. Raises what is wrong.
local function open(places, router, app, prefix, outer)
  local place = { router = router, app = app, prefix = prefix,
    middleware = outer and outer.middleware or {}, handlers = outer and outer.handlers or {} }
  table.insert(places, place)
  local own = #app.middleware > 0 or app.error_handler
  if app.error_handler then place.handlers = join({ app.error_handler }, place.handlers) end
  if own or outer and outer.render then place.render = chain.renderer(place.handlers) end
  if own then
    local links = {}
    for i, f in ipairs(app.middleware) do links[i] = { f = f, render = place.render } end
    place.middleware = join(place.middleware, links)
  end
  if own and not places[prefix] then -- two apps at one prefix: the outer one answers
    places[prefix] = true
    local fallback = chain.compose(place.middleware, place.render, chain.fallback, "no route")
    local ok, wrong = router:add_fallback(prefix, fallback)
    if not ok then error(wrong, 0) end
  end
  for _, route in ipairs(app.routes) do
    local ok, wrong = add(place, route)
    if not ok then error(wrong, 0) end
  end
  for _, mount in ipairs(app.mounts) do
    open(places, router, mount.app, prefix .. mount.prefix, place)
  end
end

--- The router that serves `app`, made when it is first asked for. From then on its tree may only get
-- routes. Raises what is wrong with the tree.
function M.router(app)
  if not app.site then
    local router, places = core.router(), {}
    open(places, router, app, "", nil)
    for _, place in ipairs(places) do table.insert(place.app.places, place) end
    app.site = router
  end
  return app.site
end

--- Adds a new route of `app` where it is served already. Returns true | nil, what is wrong.
function M.add(app, route)
  for _, place in ipairs(app.places) do
    local ok, wrong = add(place, route)
    if not ok then return nil, wrong end
  end
  return true
end

return M
