--- Mistakes that beginners make, and the messages they get: {what it is, the code, what is printed}. A code
-- that begins with "$ " is a command of the shell in a folder with FILES, where `moonloop` is the binary.
-- What is printed is a part of the output; the code begins in line 3 of SCRIPT.
local M = {}

--- Before each code: ask(app, path) is the answer of an app to a GET.
M.PRELUDE = "local function ask(app, path) local server = assert(ml.web.listen(app, { port = 0 })) " ..
  'local res = ml.http.get("http://127.0.0.1:" .. server.port .. path) server:stop() return res end\n'

M.FILES = {
  ["app.lua"] = 'local ml = require "moonloop"\nlocal app = ml.web.app()\nreturn app\n',
  ["forgot.lua"] = 'local ml = require "moonloop"\nlocal app = ml.web.app()\n',
}

M.list = {
  -- routes and apps
  { "a parameter as Express writes it", [[ml.web.app():get("/users/:id", function() end)]],
    "SCRIPT:3: ':id' in '/users/:id': a parameter is written {id}" },
  { "a parameter as Flask writes it", [[ml.web.app():get("/users/<id>", function() end)]],
    "SCRIPT:3: '<id>' in '/users/<id>': a parameter is written {id}" },
  { "a wildcard", [[ml.web.app():get("/files/*", function() end)]],
    "SCRIPT:3: '*' in '/files/*': the rest of a path is written {path:path}" },
  { "a parameter inside a segment", [[ml.web.app():get("/v{version}/users", function() end)]],
    "SCRIPT:3: 'v{version}' in '/v{version}/users': a parameter is a whole segment, as in /users/{id}" },
  { "a path without a slash", [[ml.web.app():get("users", function() end)]],
    "SCRIPT:3: 'users': a path starts with '/'" },
  { "a dot in place of the colon: app", [[local app = ml.web.app() app.get("/", function() end)]],
    "SCRIPT:3: app:get was called without its app (got string): methods are called with a colon, not with a dot" },
  { "the same route twice", "local app = ml.web.app()\napp:get('/a', print)\napp:get('/a', print)",
    "SCRIPT:5: the route GET /a already exists as GET /a, added at SCRIPT:4" },
  { "a text in the place of a handler", [[ml.web.app():get("/", "hello")]],
    "SCRIPT:3: the handler of / is a string (expected a function)" },
  { "a handler that was called", [[local function home() end ml.web.app():get("/", home())]],
    "SCRIPT:3: the handler of / is nil (expected a function; f() calls f, and passes what it returned)" },
  { "middleware that was not called", [[ml.web.app():use(ml.web.request_id)]],
    "SCRIPT:3: the middleware is ml.web.request_id itself: call it, ml.web.request_id(...)" },
  { "middleware that returns nothing",
    [[local app = ml.web.app() app:use(function(req, next) next(req) end) ask(app, "/")]],
    "the middleware SCRIPT:3 returned nothing (return what next(req) returned, or a response)" },
  { "an unknown option of an app", [[ml.web.app { max_boddy = 10 }]],
    "SCRIPT:3: unknown option 'max_boddy' of ml.web.app (did you mean 'max_body'?)" },
  { "a size with a unit", [[ml.web.app { max_body = "10MB" }]],
    "SCRIPT:3: option 'max_body' of ml.web.app is a string (expected a whole number of bytes, at least 0)" },
  { "app:listen", [[local app = ml.web.app() app:listen(8000)]],
    "SCRIPT:3: attempt to call a nil value (method 'listen')\nnote: use ml.web.listen\n" },
  { "a port in the place of options", [[ml.web.listen(ml.web.app(), 8000)]],
    "SCRIPT:3: ml.web.listen takes a table: { port = 8000 }" },
  { "a port that is taken",
    "local server = ml.web.listen(ml.web.app(), { port = 0 })\nassert(ml.web.listen(ml.web.app(), { port = " ..
      "server.port }))",
    ": address already in use (EADDRINUSE)" },

  -- handlers
  { "a handler with a second parameter", [[
local app = ml.web.app()
app:get("/", function(req, res)
  res:send("hello")
end)
ask(app, "/")]],
    "GET / failed: SCRIPT:5: attempt to index a nil value (local 'res')\n" ..
    "note: a handler gets the request alone; what it returns is the answer: function(req) return { ok = true } end\n" },
  { "a status that is a string", [[local app = ml.web.app():get("/", function() return {}, "201" end) ask(app, "/")]],
    'the handler of GET / returned the status "201", a string (expected a number, 200 to 599)' },
  { "headers in the place of the status",
    [[local app = ml.web.app():get("/", function() return "x", { ["X-A"] = "b" } end) ask(app, "/")]],
    "the handler of GET / returned a table as the status (expected a number: what is returned is body, " ..
      "status, headers)" },
  { "a handler that returns a task",
    [[local app = ml.web.app():get("/", function() return ml.spawn(ml.sleep, 0) end) ask(app, "/")]],
    "the handler of GET / returned a task (for its result: return task:await())" },
  { "a handler that returns a number", [[local app = ml.web.app():get("/", function() return 42 end) ask(app, "/")]],
    "the handler of GET / returned a number (expected a table, a string, nil or a response)" },
  { "a value that JSON does not have",
    [[local app = ml.web.app():get("/", function() return { f = print } end) ask(app, "/")]],
    "the response of GET /: cannot encode a function (at f)" },
  { "a dot in place of the colon: request",
    [[local app = ml.web.app():get("/", function(req) return req.json() end) ask(app, "/")]],
    "SCRIPT:3: request:json was called without its request (got nil): methods are called with a colon, not " ..
      "with a dot" },
  { "abort with a text for the status",
    [[local app = ml.web.app():get("/", function() ml.web.abort("404") end) ask(app, "/")]],
    "SCRIPT:3: bad argument #1 to 'ml.web.abort' (a status from 300 to 599 expected, got string)" },

  -- the command line
  { "a slip in a command", "$ moonloop srve app.lua",
    "moonloop: 'srve' is neither a command nor a file (did you mean 'moonloop serve'?)" },
  { "a slip in an option", "$ moonloop serve app.lua --prot 80",
    "moonloop: serve: unknown option '--prot' (did you mean '--port'?)" },
  { "an app run as a script", "$ moonloop app.lua",
    "moonloop: app.lua returned an app, and nothing serves it: run it with 'moonloop serve app.lua'" },
  { "an app file that returns nothing", "$ moonloop serve forgot.lua",
    "forgot.lua returned nothing, not an app: it has to end with 'return app', where app = ml.web.app()" },
  { "an app file that is not there", "$ moonloop serve ap.lua",
    "moonloop: cannot open ap.lua: No such file or directory" },

  -- the client
  { "a response that is nil", [[print(ml.http.get("http://127.0.0.1:1/").body)]],
    "SCRIPT:3: attempt to index a nil value\nnote: the nil came with an error, the second result: network: " ..
    "GET http://127.0.0.1:1/: connection refused (ECONNREFUSED); take both (local value, err = ...), or let " ..
      "assert(...) " ..
    "raise it\n" },
  { "an unknown option of a request", [[ml.http.get("http://127.0.0.1:1/", { timout = 1 })]],
    "SCRIPT:3: unknown option 'timout' of a request (did you mean 'timeout'?)" },
  { "a body in the place of options", [[ml.http.post("http://127.0.0.1:1/", "body")]],
    "SCRIPT:3: the options of a request are a string (expected a table)" },
  { "a table as a body", [[ml.http.post("http://127.0.0.1:1/", { body = { a = 1 } })]],
    "SCRIPT:3: body: string or function expected, got table (json= encodes a value)" },
  { "a URL without http://", [[assert(ml.http.get("127.0.0.1:8000/"))]],
    "malformed URL: it does not begin with http:// or https://" },
  { "a dot in place of the colon: client", [[ml.http.client().get("http://127.0.0.1:1/")]],
    "SCRIPT:3: client:get was called without its client (got string): methods are called with a colon" },

  -- tasks
  { "a dot in place of the colon: task", [[local t = ml.spawn(ml.sleep, 0) t.await()]],
    "SCRIPT:3: task:await was called without its task (got nil): methods are called with a colon, not with a dot" },
  { "a function that was called in spawn", [[ml.spawn(ml.sleep(0))]],
    "SCRIPT:3: bad argument #1 to 'ml.spawn' (function expected, got nothing; f(x) is written f, x here)" },
  { "functions that were called in gather", [[ml.gather(ml.sleep(0), ml.sleep(0))]],
    "SCRIPT:3: ml.gather: item 1 is nil; expected a function, a {function, arguments...} list or a task (was " ..
      "it called " ..
    "already? f(x) is written {f, x} here)" },
  { "a time with a unit", [[ml.sleep("1s")]],
    "SCRIPT:3: bad argument #1 to 'ml.sleep' (number of seconds expected, got string)" },
  { "a time limit behind the function", [[ml.timeout(function() end, 1)]],
    "SCRIPT:3: bad argument #1 to 'ml.timeout' (number of seconds expected, got function)" },
  { "an unknown limit", [[ml.spawn { ml.sleep, 0, cpus = 1 }]],
    "SCRIPT:3: unknown name 'cpus' of a {function, ...} list (did you mean 'cpu'?)" },
  { "one task in the place of a list", [[ml.wait(ml.spawn(ml.sleep, 0))]],
    "SCRIPT:3: bad argument #1 to 'ml.wait' (a list of tasks expected, got one task: write {task})" },
  { "an unknown mode", [[ml.wait({ ml.spawn(ml.sleep, 0) }, { mode = "fist" })]],
    "SCRIPT:3: unknown mode 'fist' of ml.wait (did you mean 'first'?)" },
  { "a wait where Lua cannot suspend", [[table.sort({ 2, 1 }, function(a, b) ml.sleep(0) return a < b end)]],
    "SCRIPT:3: ml.sleep: cannot wait inside 'table.sort' (at SCRIPT:3): Lua cannot suspend it" },
  { "a deadline that is dropped", [[ml.deadline(1)]],
    "moonloop: the deadline set at SCRIPT:3 has no block: keep it in a to-be-closed variable, " ..
    "local d <close> = ml.deadline(seconds)" },
  { "an error in a task nobody awaits", "ml.spawn(function()\n  error 'lost'\nend)",
    "moonloop: task 2 failed and nobody awaited it: SCRIPT:4: lost\nstack traceback:\n\t[C]: in function 'error'\n" ..
    "\tSCRIPT:4: in function <SCRIPT:3>\nspawned at SCRIPT:3\n" },
  { "a slip in a name", [[ml.slep(1)]],
    "SCRIPT:3: attempt to call a nil value (field 'slep')\nnote: did you mean ml.sleep?\n" },
  { "await as a function", [[await(ml.spawn(ml.sleep, 0))]],
    "SCRIPT:3: attempt to call a nil value (global 'await')\nnote: use task:await\n" },
  { "push of a queue", [[ml.queue():push(1)]],
    "SCRIPT:3: attempt to call a nil value (method 'push')\nnote: use queue:put\n" },
  { "a task that awaits itself", [[local t t = ml.spawn(function() t:await() end) t:await()]],
    "SCRIPT:3: task:await: a task cannot await itself" },
  { "a lock that is taken twice", [[local lock = ml.lock() lock:acquire() lock:acquire()]],
    "SCRIPT:3: lock:acquire: this task has the lock already" },
  { "a wait for nothing", [[ml.future():await()]], "moonloop: the main task waits for what can never happen" },

  -- the rest
  { "an unknown option of json.encode", [[print(ml.json.encode({ 1 }, { prety = true }))]],
    "SCRIPT:3: unknown option 'prety' of ml.json.encode (did you mean 'pretty'?)" },
  { "an unknown option of dump", [[print(ml.dump { tracebacks = true })]],
    "SCRIPT:3: unknown option 'tracebacks' of ml.dump (did you mean 'traceback'?)" },
  { "executor.pool", [[ml.executor.pool(2)]],
    "SCRIPT:3: attempt to call a nil value (field 'pool')\nnote: use ml.executor.new\n" },
  { "a file passed to another core", [[ml.executor.run(print, io.open("/dev/null"))]],
    "SCRIPT:3: cannot send argument #2: a userdata (FILE*), which cannot leave its Lua state" },
  { "a module that is not there", [[require "moonlop"]], "SCRIPT:3: module 'moonlop' not found:" },
}

return M
