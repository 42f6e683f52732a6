--- An application as it is served: its routes and those of the applications mounted in it, with
-- their chains of middleware, in one router.
local chain = require "moonloop.web.chain"
local core = require "moonloop.web.core"
local health = require "moonloop.web.health"
local plans = require "moonloop.web.plan"
local route_options = require "moonloop.web.route_options"
local scope = require "moonloop.web.scope"

local M = {}

--- The list a, followed by the list b.
local function join(a, b)
  local all = table.move(a, 1, #a, 1, {})
  return table.move(b, 1, #b, #a + 1, all)
end

--- The functions of the list as links of a chain.
local function links(list, render)
  local all = {}
  for i, f in ipairs(list) do all[i] = { f = f, render = render } end
  return all
end

--- The message if a dependency of the plan cannot be used by an offloaded handler.
local function refused(plan, title)
  for i = 1, #plan.names, 2 do
    local step = plan.steps[plan.names[i + 1]]
    if step.dep.offload == false then
      return ("%s has the option 'offload', and its dependency '%s' (%s) cannot be copied to another core"):format(
        title, plan.names[i], step.dep.name)
    end
  end
end

--- The plan for a route of `app` with the dependencies in `lists`, as of plan.of_app; nil if there are none; or
-- nil, message.
local function plan_of(app, lists, route, title)
  if not lists[1] or route.is_health then return nil end
  local ok, record = pcall(plans.of_app, app, lists, title)
  local wrong = not ok and record or route.opts.offload and refused(record.plan, title) or nil
  if wrong then return nil, wrong end
  return record
end

--- The message if a new route's own dependencies cannot be opened, or nil.
function M.problem(app, route)
  return select(2, plan_of(app, { route.opts.depends }, route, route.method .. " " .. route.path))
end

--- What makes responses of the errors at a place: app:on_error's functions, then app:validation_error's.
local function renderer(place)
  return chain.renderer(place.validation and join(place.handlers, { place.validation }) or place.handlers)
end

--- Adds a route of the place's app to the router. Returns true | nil, message.
local function add(place, route)
  local opts, cpu = route.opts, route.opts.cpu
  local render, middleware = not route.is_health and place.render, place.middleware
  local title = ("%s %s%s"):format(route.method, place.prefix, route.path)
  local name = ("the handler of %s (%s)"):format(title, route.site)
  local docs = place.app.docs_handlers
  local outer = docs and docs[route.handler] and {} or place.depends
  local plan, bad = plan_of(place.app, join(outer, { opts.depends }), route, title)
  if bad then return nil, bad end
  local wrap_in = route.check and scope.wrap_upgrade or scope.wrap
  local wrap = plan and function(f) return wrap_in(plan, f, name) end
  local ok, handler = pcall(route_options.build, route, place, wrap)
  if not ok then return nil, ("%s (the route is made at %s)"):format(handler, route.place or "?") end
  if opts.use then
    render = render or renderer(place)
    middleware = join(middleware, links(opts.use, render))
  end
  if render then
    if cpu and not route.check then handler, cpu = route_options.limited(handler, cpu), nil end
    handler = chain.compose(middleware, render, handler, name)
  end
  local function add_at(path)
    return place.router:add(route.method, path, handler, opts.max_body, cpu, opts.slice,
      route.site)
  end
  if route.path == "/" and place.prefix ~= "" then
    local added, wrong = add_at(place.prefix)
    if not added then return nil, wrong end
  end
  return add_at(place.prefix .. route.path)
end

--- Opens a place for `app` at `prefix` of the router, below the place `outer` (or nil), and for the apps
-- mounted in it. All places are appended to `places`. Raises what is wrong.
local function open(places, router, app, prefix, outer)
  local place = { router = router, app = app, prefix = prefix,
    middleware = outer and outer.middleware or {}, handlers = outer and outer.handlers or {},
    depends = join(outer and outer.depends or {}, app.dependencies),
    validation = app.validation or outer and outer.validation }
  table.insert(places, place)
  if prefix ~= "" then
    local ok, wrong = router:add_mount(prefix)
    if not ok then error(wrong, 0) end
  end
  local own = #app.middleware > 0 or app.error_handler or app.validation
  if app.error_handler then place.handlers = join({ app.error_handler }, place.handlers) end
  if own or outer and outer.render then place.render = renderer(place) end
  if own then
    place.middleware = join(place.middleware, links(app.middleware, place.render))
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

--- Does a route of the app's tree have what the OpenAPI document could not have twice?
local function has_schemas(app)
  for _, route in ipairs(app.routes) do
    if route.types or route.opts.operation_id then return true end
  end
  for _, mount in ipairs(app.mounts) do
    if has_schemas(mount.app) then return true end
  end
  return false
end

--- The router that serves `app`, made on first use. From then on only routes may be added to its tree.
-- Raises what is wrong with the tree.
function M.router(app)
  if not app.site then
    if app.settings.docs then require "moonloop.web.docs".serve(app, app.settings.docs) end
    if has_schemas(app) then require "moonloop.web.openapi".check(app) end
    local router, places = core.router(), {}
    open(places, router, app, "", nil)
    for _, place in ipairs(places) do table.insert(place.app.places, place) end
    app.site = router
  end
  return app.site
end

--- The router for the time before `app` is ready, in which only app:health answers; nil if there is no
-- such route.
function M.start_router(app)
  local router
  local function add_health(one, prefix)
    for _, route in ipairs(one.routes) do
      if route.is_health then
        router = router or core.router()
        router:add("GET", prefix .. route.path, health.answer_starting)
      end
    end
    for _, mount in ipairs(one.mounts) do add_health(mount.app, prefix .. mount.prefix) end
  end
  add_health(app, "")
  if router then router:add_fallback("", health.refuse) end
  return router
end

--- Adds a new route of `app` wherever it is already served. Returns true | nil, message.
function M.add(app, route)
  for _, place in ipairs(app.places) do
    local ok, wrong = add(place, route)
    if not ok then return nil, wrong end
  end
  return true
end

return M
