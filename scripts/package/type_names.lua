--- What types.lua has to know beside the pages: which classes there are, and what names mean.
local M = {}

-- What a handler returns, and what a middleware is.
local RESULTS = "(any, (integer|moonloop.error)?, table<string, any>?)"
local MIDDLEWARE = "fun(req: moonloop.web.request, next: fun(req?: moonloop.web.request): moonloop.web.response): "
  .. RESULTS

-- Where an object is no class of its page.
M.OWNERS = {
  ["errors.md"] = { err = "moonloop.error" },
  ["stream.md"] = { s = "moonloop.stream" },
  ["http.md"] = { res = "moonloop.http.response" },
  ["process.md"] = { p = "moonloop.process.process" },
  ["redis.md"] = { r = "moonloop.redis.client", msg = "moonloop.redis.message" },
  ["schema.md"] = { schema = "moonloop.schema.schema" },
  ["testing.md"] = { clock = "moonloop.clock" },
  ["websocket.md"] = { ws = "moonloop.ws.socket", err = "moonloop.ws.error", compress = "moonloop.ws.compress" },
  ["web-request.md"] = { req = "moonloop.web.request" },
  ["web-response.md"] = { res = "moonloop.web.response" },
  ["web-test.md"] = { c = "moonloop.web.test_client" },
  ["web.md"] = { entry = "moonloop.web.access_entry" },
  ["web-dependencies.md"] = { o = "moonloop.web.override" },
}

-- Classes that have all that another has.
M.PARENTS = {
  ["moonloop.net.conn"] = "moonloop.stream", ["moonloop.fs.file"] = "moonloop.stream",
  ["moonloop.redis.cluster"] = "moonloop.redis.client", ["moonloop.sql.tx"] = "moonloop.sql.db",
  ["moonloop.ws.error"] = "moonloop.error",
}

-- Classes with names that no page lists one by one.
M.OPEN = {
  ["moonloop.redis.client"] = "fun(self: moonloop.redis.client, ...: any): any, moonloop.error?",
  ["moonloop.web.session"] = "any", ["moonloop.web.request"] = "any",
}

-- What a name of an argument or a result means; one that is not here may be anything.
M.NAMES = {
  err = "moonloop.error", ["nil"] = "nil", ["true"] = "true", ["false"] = "false", boolean = "boolean",
  string = "string", integer = "integer", table = "table", seconds = "number", bytes = "integer", text = "string",
  iterator = "fun(...): ...", results = "{ n: integer, [integer]: any }",
  tasks = "moonloop.task[]", done = "moonloop.task[]",
  pending = "moonloop.task[]", list = "any[]", f = "function", path = "string", url = "string", name = "string",
  names = "string[]", message = "string", data = "string", host = "string", port = "integer", max = "integer",
  mode = "string", from = "string", to = "string", dir = "string", file = "string", pattern = "string",
  paths = "string[]", target = "string", place = "integer", chunk = "string", method = "string", prefix = "string",
  status = "integer", headers = "table<string, any>", sql = "string", row = "table<string, any>",
  rows = "table<string, any>[]", n = "integer", columns = "string[]", set = "table<string, any>", channel = "string",
  password = "string", hash = "string", token = "string", claims = "table<string, any>", signal = "string",
  code = "integer", kind = "string", topic = "string", capacity = "integer", initial = "integer", ip = "string",
  request = "table", spec = "table", source = "string", stream = "string", group = "string", ttl = "number",
  make = "function", secret = "string|string[]", grace = "number", drain = "number", values = "table<string, any>",
  fields = "table", schemas = "moonloop.schema.schema[]", items = "moonloop.schema.schema[]",
  branches = "table<string, moonloop.schema.schema>", doc = "table", format = "string|integer", delimiter = "string",
  permit = "table", whence = "string", offset = "integer", size = "integer", atime = "number", mtime = "number",
  new = "string", truncated = "boolean", written = "integer", ws = "moonloop.ws.socket",
  response = "moonloop.web.response", middleware = MIDDLEWARE, app = "moonloop.web.app", other = "moonloop.web.app",
  req = "moonloop.web.request", scope = "string", signer = "moonloop.web.signer", needs = "table", dependency = "table",
  a = "string", b = "string", seed = "integer", settings = "table", attributes = "table", s = "string", opts = "table",
  options = "table", o = "moonloop.web.override",
}

-- What a name means on one page, for one function, or as a field of one object.
M.OWN_NAMES = {
  ["web-test.md"] = { res = "moonloop.http.response" }, ["json.md"] = { t = "table" },
  ["net.md"] = { server = "moonloop.net.server" }, ["web.md"] = { server = "moonloop.web.server" },
  ["net.md resolve"] = { list = "string[]" },
  ["schema.md list"] = { item = "moonloop.schema.schema" }, ["schema.md map"] = { value = "moonloop.schema.schema" },
  ["time.md format"] = { t = "number" }, ["ml.md tasks"] = { list = "moonloop.entry[]" },
  ["websocket.md connect"] = { err = "moonloop.error" }, -- its code is the system's
  ["websocket.md send_binary"] = { bytes = "string" }, ["web-request.md all"] = { list = "string[]" },
  ["fs.md temp_dir"] = { dir = "moonloop.fs.dir" },
  ["jobs.md"] = { id = "integer", db = "moonloop.sql.db", when = "string|number" },
  ["jobs.md push"] = { created = "boolean" },
  ["jobs.md push_all"] = { list = "{ [1]: string, [2]: any, [3]: moonloop.jobs.jobs.push.opts? }[]", ids = "integer[]",
    opts = "{ tx: moonloop.sql.tx }" },
  ["jobs.md drain"] = { done = "integer", failed = "integer" },
  ["jobs.md list"] = { list = "table[]" },
  ["jobs.md worker"] = { done = "integer", late = "integer" },
  ["jobs.md job"] = { id = "integer", name = "string", queue = "string", attempt = "integer", attempts = "integer" },
  ["jobs.md define"] = { f = "fun(args: any, job: moonloop.jobs.job): any" },
  ["web-app.md"] = { handler = "fun(req: moonloop.web.request, deps: table<string, any>): " .. RESULTS },
  ["web-app.md websocket"] = {
    handler = "fun(ws: moonloop.ws.socket, req: moonloop.web.request, deps: table<string, any>)",
  },
  ["web-hub.md"] = { ws = "moonloop.ws.socket|fun(event: any)", message = "string|table" },
  ["web-app.md use"] = { f = MIDDLEWARE },
  ["web-app.md on_error"] = { f = "fun(err: any, req: moonloop.web.request, traceback: string?): " .. RESULTS },
  ["web-app.md on_start"] = { f = "fun(): (any, any)" }, ["web-app.md on_stop"] = { f = "fun(): (any, any)" },
  ["web-dependencies.md scope"] = { f = "fun(deps: table<string, any>): any" },
  ["web-response.md events"] = { f = "fun(send: fun(event: any))" },
  ["web-request.md after"] = { f = "fun()" },
  ["sql.md tx"] = { f = "fun(tx: moonloop.sql.tx): any" },
  ["sql.md session"] = { f = "fun(conn: moonloop.sql.db): any" },
  ["redis.md pipeline"] = { f = "fun(p: moonloop.redis.client): any" },
  ["ml.md map"] = { f = "fun(value: any): any" },
  ["net.md listen"] = { f = "fun(conn: moonloop.net.conn)" },
  ["schema.md check"] = { f = "fun(value: any): string?" },
  ["sql.md"] = { table = "string" }, ["sql.md stats"] = { table = "table" },
}

-- What a word in a cell of a table means.
M.WORDS = {
  string = "string", integer = "integer", number = "number", boolean = "boolean", table = "table", list = "any[]",
  ["function"] = "function", any = "any", ["false"] = "false", ["true"] = "true", ["nil"] = "nil",
  task = "moonloop.task", schema = "moonloop.schema.schema", stream = "moonloop.stream",
  transaction = "moonloop.sql.tx",
}

return M
